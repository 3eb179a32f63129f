// postern: what an operator types; see docs/man/postern.1.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

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
  bool content = false;
  ListOptions list;
  ActOptions act;
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

void AddAct(CLI::App& queue, Typed& typed, const char* name, const char* help, Verb verb) {
  CLI::App* command = queue.add_subcommand(name, help);
  command->add_option("ID", typed.act.ids, "queue ids");
  command->add_flag("--all", typed.act.all, "every message");
  if (verb == Verb::kHold)
    command->add_option("--reason", typed.act.reason, "why, for those who look");
  if (verb == Verb::kFlush)
    command->add_option("--destination", typed.act.destination,
                        "those for one of postern queue destinations");
  command->callback([&typed, verb] { typed.status = QueueAct(typed.common, verb, typed.act); });
}

void AddQueueCommands(CLI::App& app, Typed& typed) {
  CLI::App* queue = app.add_subcommand("queue", "the messages in the queue");
  queue->require_subcommand(1);
  queue->fallthrough();
  CLI::App* list = queue->add_subcommand("list", "list them");
  list->add_option("--state", typed.list.state, "active, deferred or held alone")
      ->check(CLI::IsMember({"active", "deferred", "held"}));
  list->add_option("--sender", typed.list.sender, "from this address, or @domain");
  list->add_option("--recipient", typed.list.recipient, "to this address, or @domain");
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
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Postern: look at the mail server, and tell it what to do.", "postern");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", POSTERN_VERSION);
  Typed typed;
  app.add_option("-c,--config", typed.common.config, "the configuration file")
      ->capture_default_str();
  app.add_flag("--json", typed.common.as_json, "print JSON");
  AddServerCommands(app, typed);
  AddQueueCommands(app, typed);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  return typed.status;
}
