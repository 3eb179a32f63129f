// postern: what an operator types; see docs/man/postern.1.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/escape.h"
#include "common/config/suggest.h"
#include "tools/postern/commands.h"

namespace {

using namespace postern::tool;
using postern::protocol::admin::Verb;

// Where CLI11 puts what was typed. One command runs, so they share.
struct Typed {
  Common common;
  std::string file;
  std::string key;
  std::string id;
  std::vector<std::string> directories;
  bool content = false;
  ListOptions list;
  ActOptions act;
  SelftestOptions selftest;
  int status = kDone;
};

void AddServerCommands(CLI::App& app, Typed& typed) {
  CLI::App* check = app.add_subcommand(
      "check", "check a configuration file; print every problem with file, line and column");
  check->add_option("FILE", typed.file, "the file (default: that of -c)");
  check->callback([&] {
    typed.status = Check(typed.common, typed.file.empty() ? typed.common.config : typed.file);
  });
  CLI::App* explain =
      app.add_subcommand("explain", "what a setting means, its default, range and value");
  explain->add_option("KEY", typed.key, "such as smtp.max_recipients; a section; nothing for all");
  explain->callback([&] { typed.status = Explain(typed.common, typed.key); });
  app.add_subcommand("ps", "the processes and how each is confined")->callback([&] {
    typed.status = Ps(typed.common);
  });
  app.add_subcommand("reload", "check the configuration and have the server take it")
      ->callback([&] { typed.status = Reload(typed.common); });
  app.add_subcommand("stop", "have the server finish what is in hand and end")->callback([&] {
    typed.status = Stop(typed.common);
  });
  CLI::App* why = app.add_subcommand("why", "what happened to a message, and why");
  why->add_option("ID", typed.id, "its queue id")->required();
  why->callback([&] { typed.status = Why(typed.common, typed.id); });
}

void AddSelftest(CLI::App& app, Typed& typed) {
  CLI::App* selftest = app.add_subcommand("selftest", "try what this machine must refuse");
  selftest->fallthrough();
  CLI::App* confinement = selftest->add_subcommand(
      "confinement", "become each role, and try what an attacker who owns it would");
  SelftestOptions& options = typed.selftest;
  confinement->add_option("ROLE", options.roles, "smtpd, qmgr, ...; nothing for all");
  confinement
      ->add_option("--without", options.without, "leave a layer out, and show what it alone stops")
      ->allow_extra_args(false);
  confinement->add_option("--backend", options.backend, "uring or epoll alone");
  confinement->add_flag("--ablation", options.ablation, "a table of what each layer stops");
  confinement->add_flag("--acts", options.acts, "list every act, as for a single role");
  confinement->add_flag("--kill", options.kill, "a forbidden call ends the process, as ever");
  confinement->callback([&] { typed.status = SelftestConfinement(typed.common, typed.selftest); });
}

void AddAct(CLI::App& queue, Typed& typed, const char* name, const char* help, Verb verb) {
  CLI::App* command = queue.add_subcommand(name, help);
  command->add_option("ID", typed.act.ids, "queue ids");
  command->add_flag("--all", typed.act.all, "every message");
  if (verb != Verb::kFlush)
    command->add_option("--reason", typed.act.reason, "why, for those who look and for the log");
  if (verb == Verb::kFlush)
    command->add_option("--destination", typed.act.destination,
                        "those for one of postern queue destinations");
  command->callback([&typed, verb] { typed.status = QueueAct(typed.common, verb, typed.act); });
}

void AddQueueCommands(CLI::App& app, Typed& typed) {
  CLI::App* queue = app.add_subcommand("queue", "the messages in the queue");
  queue->fallthrough();
  CLI::App* list = queue->add_subcommand("list", "list them");
  list->add_option("--state", typed.list.state, "active, deferred or held alone")
      ->check(CLI::IsMember({"active", "deferred", "held"}));
  list->add_option("--sender", typed.list.sender, "from this address, @domain, or <>");
  list->add_option("--recipient", typed.list.recipient,
                   "to this address or @domain, among those left");
  list->add_option("--limit", typed.list.limit, "at most so many")->capture_default_str();
  list->callback([&] { typed.status = QueueList(typed.common, typed.list); });
  CLI::App* show = queue->add_subcommand("show", "one of them");
  show->add_option("ID", typed.id, "its queue id")->required();
  show->add_flag("--content", typed.content, "the message itself (RFC 5322)");
  show->callback([&] { typed.status = QueueShow(typed.common, typed.id, typed.content); });
  AddAct(*queue, typed, "hold", "do not deliver for the time being", Verb::kHold);
  AddAct(*queue, typed, "release", "deliver what was held", Verb::kRelease);
  AddAct(*queue, typed, "requeue", "try again now", Verb::kRequeue);
  AddAct(*queue, typed, "delete", "remove without a notice to anybody", Verb::kDelete);
  AddAct(*queue, typed, "flush", "try everything again now", Verb::kFlush);
  queue->add_subcommand("destinations", "next hops, their windows and what failed there")
      ->callback([&] { typed.status = QueueDestinations(typed.common); });
  CLI::App* fsck = queue->add_subcommand("fsck", "what is wrong with a spool that no server uses");
  fsck->add_option("DIR", typed.directories, "the spool (default: those of the configuration)");
  fsck->callback([&] { typed.status = QueueFsck(typed.common, typed.directories); });
}

// The innermost command that was typed.
const CLI::App& LastCommand(const CLI::App& app) {
  const std::vector<CLI::App*> typed = app.get_subcommands();
  return typed.empty() ? app : LastCommand(*typed.back());
}

std::string CommandsOf(const CLI::App& app) {
  std::string names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names += " " + command->get_name();
  return names;
}

// About the first word that nothing could be made of.
std::string WhatIsWrong(const CLI::App& app, const std::string& word) {
  const std::string shown = postern::Escaped(word);
  if (word.starts_with('-')) return "unknown option " + shown + "; see postern --help";
  const CLI::App& last = LastCommand(app);
  const std::string names = CommandsOf(last);
  if (names.empty()) return shown + " is one argument too many for " + last.get_name();
  std::string nearest;
  size_t least = 3;  // a typing error or two
  for (const CLI::App* command : last.get_subcommands([](const CLI::App*) { return true; })) {
    const size_t distance = postern::config::EditDistance(word.substr(0, 64), command->get_name());
    if (distance >= std::min(least, word.size())) continue;
    least = distance;
    nearest = command->get_name();
  }
  return "there is no command " + shown +
         (nearest.empty() ? "; there are:" + names : "; did you mean " + nearest + "?");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Postern: look at the mail server, and tell it what to do.", "postern");
  app.fallthrough();
  app.set_version_flag("--version", POSTERN_VERSION);
  Typed typed;
  app.add_option("-c,--config", typed.common.config, "the configuration file")
      ->capture_default_str();
  app.add_flag("--json", typed.common.as_json, "print JSON");
  AddServerCommands(app, typed);
  AddQueueCommands(app, typed);
  AddSelftest(app, typed);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    const std::vector<std::string> unknown = app.remaining(true);
    return Misuse(unknown.empty() ? std::string(error.what()) + "; see postern --help"
                                  : WhatIsWrong(app, unknown.front()));
  }
  const CLI::App& last = LastCommand(app);
  if (!last.get_subcommands([](const CLI::App*) { return true; }).empty())
    return Misuse("name a command:" + CommandsOf(last) + "; see postern --help");
  return typed.status;
}
