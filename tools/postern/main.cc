// postern: what an operator types; see docs/man/postern.1.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "common/base/escape.h"
#include "common/base/queue_id.h"
#include "common/config/explain.h"
#include "common/config/parse.h"
#include "tools/postern/admin_client.h"
#include "tools/postern/story.h"

namespace {

using namespace postern;
namespace admin = protocol::admin;
using nlohmann::json;

constexpr int kFailed = 1;
constexpr int kNotRunning = 75;  // EX_TEMPFAIL

struct Common {
  std::string config = "/etc/postern/postern.toml";
  bool as_json = false;
};

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "postern: %s\n", std::string(Message(status)).c_str());
  return absl::IsUnavailable(status) ? kNotRunning : kFailed;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return NotFound("cannot read ", path, ": name the configuration with -c FILE");
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

absl::StatusOr<config::Settings> ReadSettings(const Common& common) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(common.config));
  config::Outcome outcome = config::Parse(text, std::filesystem::absolute(common.config).string());
  if (outcome.ok()) return *std::move(outcome.settings);
  return InvalidArgument(outcome.problems.front().ToString());
}

int Check(const std::string& file) {
  const absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return Complain(text.status());
  const config::Outcome outcome =
      config::Parse(*text, file, std::filesystem::absolute(file).parent_path().string());
  for (const config::Problem& problem : outcome.problems)
    std::fprintf(stderr, "%s\n", problem.ToString().c_str());
  if (!outcome.ok()) return kFailed;
  std::printf("%s: no problem found\n", file.c_str());
  return 0;
}

int Explain(const Common& common, const std::string& key) {
  const absl::StatusOr<config::Settings> settings = ReadSettings(common);
  const std::optional<std::string> text =
      config::Explain(key, settings.ok() ? &*settings : nullptr);
  if (text.has_value()) {
    std::fputs(text->c_str(), stdout);
    return 0;
  }
  const std::string near = config::NearestKey(key);
  return Complain(NotFound("there is no setting ", key, near.empty() ? "" : "; did you mean ", near,
                           near.empty() ? "" : "?"));
}

std::string StateName(admin::State state) {
  switch (state) {
    case admin::State::kActive:
      return "active";
    case admin::State::kDeferred:
      return "deferred";
    case admin::State::kHeld:
      return "held";
  }
  return "";
}

json ToJson(const admin::Message& message) {
  json recipients = json::array();
  for (const admin::Recipient& one : message.recipients) {
    recipients.push_back({{"address", Escaped(one.address)},
                          {"done", one.done},
                          {"status", one.status},
                          {"diagnostic", Escaped(one.diagnostic, 4096)}});
  }
  return {{"id", QueueId(message.queue_id).ToString()},
          {"state", StateName(message.state)},
          {"sender", Escaped(message.sender)},
          {"arrival", tool::FormatTime(message.arrival_us)},
          {"octets", message.octets},
          {"attempts", message.attempts},
          {"next_attempt",
           message.next_attempt_us == 0 ? json() : json(tool::FormatTime(message.next_attempt_us))},
          {"hold_reason", Escaped(message.hold_reason)},
          {"recipients_left", message.recipient_count},
          {"recipients", recipients}};
}

void Print(const admin::Message& message) {
  std::printf("%s  %-8s  %s  %8llu  <%s>\n", QueueId(message.queue_id).ToString().c_str(),
              StateName(message.state).c_str(), tool::FormatTime(message.arrival_us).c_str(),
              static_cast<unsigned long long>(message.octets), Escaped(message.sender).c_str());
  if (!message.hold_reason.empty())
    std::printf("      held: %s\n", Escaped(message.hold_reason).c_str());
  if (message.state == admin::State::kDeferred) {
    std::printf("      tried %u times, next at %s\n", message.attempts,
                tool::FormatTime(message.next_attempt_us).c_str());
  }
  for (const admin::Recipient& one : message.recipients) {
    std::printf("      <%s>%s%s%s\n", Escaped(one.address).c_str(), one.done ? " done" : "",
                one.diagnostic.empty() ? "" : ": ", Escaped(one.diagnostic, 300).c_str());
  }
  if (message.recipient_count > message.recipients.size())
    std::printf("      and %zu more\n", message.recipient_count - message.recipients.size());
}

// One client for each shard of the queue.
absl::StatusOr<std::vector<tool::AdminClient>> Shards(const Common& common) {
  ASSIGN_OR_RETURN(const config::Settings settings, ReadSettings(common));
  std::vector<tool::AdminClient> clients;
  for (size_t i = 0; i < settings.queue.directories.size(); ++i) {
    ASSIGN_OR_RETURN(tool::AdminClient client,
                     tool::AdminClient::Connect(settings.run_directory + "/queue-" +
                                                std::to_string(i) + ".sock"));
    clients.push_back(std::move(client));
  }
  return clients;
}

struct ListOptions {
  std::string state;
  std::string sender;
  std::string recipient;
  uint32_t limit = 1000;
};

int QueueList(const Common& common, const ListOptions& options) {
  auto shards = Shards(common);
  if (!shards.ok()) return Complain(shards.status());
  json all = json::array();
  uint32_t shown = 0;
  uint64_t totals[3] = {0, 0, 0};
  for (tool::AdminClient& shard : *shards) {
    admin::List list;
    list.sender = options.sender;
    list.recipient = options.recipient;
    list.only_state = !options.state.empty();
    list.state = options.state == "held"       ? admin::State::kHeld
                 : options.state == "deferred" ? admin::State::kDeferred
                                               : admin::State::kActive;
    for (bool more = true, first = true; more; first = false) {
      list.limit = std::min<uint32_t>(500, options.limit - std::min(options.limit, shown));
      if (list.limit == 0 && !first) break;
      const auto page = shard.Ask<admin::Listed>(list);
      if (!page.ok()) return Complain(page.status());
      for (const admin::Message& message : page->messages) {
        ++shown;
        if (common.as_json) {
          all.push_back(ToJson(message));
        } else {
          Print(message);
        }
      }
      list.after = page->last_seen;
      more = page->more;
      if (!first) continue;
      totals[0] += page->active;
      totals[1] += page->deferred;
      totals[2] += page->held;
    }
  }
  if (common.as_json) {
    std::cout << json({{"messages", all},
                       {"active", totals[0]},
                       {"deferred", totals[1]},
                       {"held", totals[2]}})
                     .dump(2)
              << '\n';
  } else {
    std::printf(
        "%llu active, %llu deferred, %llu held\n", static_cast<unsigned long long>(totals[0]),
        static_cast<unsigned long long>(totals[1]), static_cast<unsigned long long>(totals[2]));
  }
  return 0;
}

absl::StatusOr<uint64_t> ParseId(const std::string& text) {
  const Parsed<QueueId> id = QueueId::Parse(text);
  if (!id.has_value())
    return InvalidArgument(Escaped(text),
                           " is no queue id (13 characters, as in the log): ", id.error().reason);
  return id->value();
}

int QueueShow(const Common& common, const std::string& text, bool content) {
  const absl::StatusOr<uint64_t> id = ParseId(text);
  if (!id.ok()) return Complain(id.status());
  auto shards = Shards(common);
  if (!shards.ok()) return Complain(shards.status());
  std::string error;
  for (tool::AdminClient& shard : *shards) {
    const auto shown = shard.Ask<admin::Shown>(
        admin::Show{.queue_id = *id, .content = content},
        [](std::string_view piece) { std::fwrite(piece.data(), 1, piece.size(), stdout); });
    if (!shown.ok()) return Complain(shown.status());
    error = shown->error;
    if (!error.empty()) continue;
    if (content) return 0;
    if (common.as_json) {
      json message = ToJson(shown->message);
      message["submitter"] = Escaped(shown->submitter);
      message["envid"] = Escaped(shown->envid);
      std::cout << message.dump(2) << '\n';
    } else {
      Print(shown->message);
      std::printf("      submitted by %s\n", Escaped(shown->submitter).c_str());
    }
    return 0;
  }
  return Complain(NotFound(error));
}

int QueueAct(const Common& common, admin::Verb verb, const std::vector<std::string>& ids, bool all,
             const std::string& destination, const std::string& reason) {
  auto shards = Shards(common);
  if (!shards.ok()) return Complain(shards.status());
  std::vector<admin::Act> acts;
  for (const std::string& text : ids) {
    const absl::StatusOr<uint64_t> id = ParseId(text);
    if (!id.ok()) return Complain(id.status());
    acts.push_back(
        {.verb = verb, .all = false, .queue_id = *id, .destination = {}, .reason = reason});
  }
  if (acts.empty() && !all && destination.empty() && verb != admin::Verb::kFlush)
    return Complain(InvalidArgument("name a queue id, or say --all"));
  if (acts.empty())
    acts.push_back(
        {.verb = verb, .all = all, .queue_id = 0, .destination = destination, .reason = reason});
  uint64_t count = 0;
  for (const admin::Act& act : acts) {
    std::string error;
    uint64_t here = 0;
    for (tool::AdminClient& shard : *shards) {
      const auto acted = shard.Ask<admin::Acted>(act);
      if (!acted.ok()) return Complain(acted.status());
      here += acted->count;
      if (!acted->error.empty()) error = acted->error;
    }
    if (here == 0 && !error.empty())
      return Complain(
          NotFound(act.queue_id != 0 ? QueueId(act.queue_id).ToString() + ": " : "", error));
    count += here;
  }
  if (common.as_json) {
    std::cout << json({{"count", count}}).dump() << '\n';
  } else {
    std::printf("%llu messages\n", static_cast<unsigned long long>(count));
  }
  return 0;
}

int QueueDestinations(const Common& common) {
  auto shards = Shards(common);
  if (!shards.ok()) return Complain(shards.status());
  json all = json::array();
  for (tool::AdminClient& shard : *shards) {
    const auto listed = shard.Ask<admin::DestinationsListed>(admin::Destinations{});
    if (!listed.ok()) return Complain(listed.status());
    for (const admin::Destination& one : listed->destinations) {
      if (common.as_json) {
        all.push_back(
            {{"name", Escaped(one.name)},
             {"window", one.window},
             {"in_flight", one.in_flight},
             {"waiting", one.waiting},
             {"failures", one.failures},
             {"next_attempt",
              one.next_attempt_us == 0 ? json() : json(tool::FormatTime(one.next_attempt_us))},
             {"last_error", Escaped(one.last_error)}});
        continue;
      }
      std::printf("%-40s  window %3u  in flight %3u  waiting %6llu", Escaped(one.name).c_str(),
                  one.window, one.in_flight, static_cast<unsigned long long>(one.waiting));
      if (one.failures > 0)
        std::printf("  failed %u times, next at %s: %s", one.failures,
                    tool::FormatTime(one.next_attempt_us).c_str(), Escaped(one.last_error).c_str());
      std::printf("\n");
    }
  }
  if (common.as_json) std::cout << all.dump(2) << '\n';
  return 0;
}

int Ps(const Common& common) {
  const absl::StatusOr<config::Settings> settings = ReadSettings(common);
  if (!settings.ok()) return Complain(settings.status());
  auto master = tool::AdminClient::Connect(settings->run_directory + "/master.sock");
  if (!master.ok()) return Complain(master.status());
  const auto listed = master->Ask<admin::ProcessesListed>(admin::Processes{});
  if (!listed.ok()) return Complain(listed.status());
  json all = json::array();
  if (!common.as_json)
    std::printf("%-16s %8s %7s %-10s %8s %-6s %s\n", "PROCESS", "PID", "UID", "STATE", "RESTARTS",
                "IO", "CONFINEMENT; COUNTERS");
  for (const admin::Process& one : listed->processes) {
    if (common.as_json) {
      all.push_back({{"name", one.name},
                     {"pid", one.pid},
                     {"uid", one.uid},
                     {"state", one.state},
                     {"restarts", one.restarts},
                     {"since", tool::FormatTime(one.since_us)},
                     {"io", one.backend},
                     {"layers", one.layers},
                     {"counters", one.counters}});
    } else {
      std::printf("%-16s %8u %7u %-10s %8u %-6s %s%s%s\n", one.name.c_str(), one.pid, one.uid,
                  one.state.c_str(), one.restarts, one.backend.c_str(), one.layers.c_str(),
                  one.counters.empty() ? "" : "; ", one.counters.c_str());
    }
  }
  if (common.as_json) std::cout << all.dump(2) << '\n';
  return 0;
}

int Why(const Common& common, const std::string& text) {
  const Parsed<QueueId> id = QueueId::Parse(text);
  if (!id.has_value())
    return Complain(InvalidArgument(
        Escaped(text), " is no queue id (13 characters, as in the log): ", id.error().reason));
  const absl::StatusOr<config::Settings> settings = ReadSettings(common);
  if (!settings.ok()) return Complain(settings.status());
  if (settings->log.target != config::LogTarget::kFile)
    return Complain(FailedPrecondition(
        "the log is not a file (log.target): ask journalctl POSTERN_ID=", id->ToString()));
  const absl::StatusOr<std::string> log = ReadFile(settings->log.file);
  if (!log.ok()) return Complain(log.status());
  const std::vector<log::Record> records = tool::RecordsOf(*log, id->ToString());
  if (common.as_json) {
    json all = json::array();
    for (const log::Record& record : records) {
      json one = {{"time", tool::FormatTime(record.time_us)},
                  {"daemon", record.daemon},
                  {"event", record.event}};
      for (const auto& [key, value] : record.fields) one[key] = Escaped(value, 4096);
      all.push_back(one);
    }
    std::cout << all.dump(2) << '\n';
  } else {
    for (const log::Record& record : records) std::printf("%s\n", tool::Sentence(record).c_str());
  }
  if (records.empty())
    return Complain(NotFound("nothing about ", id->ToString(), " in ", settings->log.file));
  if (common.as_json) return 0;
  auto shards = Shards(common);
  if (!shards.ok()) return 0;
  for (tool::AdminClient& shard : *shards) {
    const auto shown =
        shard.Ask<admin::Shown>(admin::Show{.queue_id = id->value(), .content = false});
    if (shown.ok() && shown->error.empty()) {
      std::printf("Now:\n");
      Print(shown->message);
    }
  }
  return 0;
}

int Reload(const Common& common) {
  if (const int checked = Check(common.config); checked != 0) return checked;
  const absl::StatusOr<config::Settings> settings = ReadSettings(common);
  if (!settings.ok()) return Complain(settings.status());
  auto master = tool::AdminClient::Connect(settings->run_directory + "/master.sock");
  if (!master.ok()) return Complain(master.status());
  const auto listed = master->Ask<admin::ProcessesListed>(admin::Processes{});
  if (!listed.ok() || listed->processes.empty()) return Complain(listed.status());
  if (::kill(static_cast<pid_t>(listed->processes.front().pid), SIGHUP) < 0)
    return Complain(ErrnoStatus(errno, "tell master"));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Postern: look at the mail server, and tell it what to do.", "postern");
  app.require_subcommand(1);
  Common common;
  app.add_option("-c,--config", common.config, "the configuration file")->capture_default_str();
  app.add_flag("--json", common.as_json, "print JSON");
  app.fallthrough();
  int status = 0;
  std::string file;
  std::string key;
  std::string id;
  std::vector<std::string> ids;
  bool content = false;
  bool all = false;
  std::string destination;
  std::string reason;
  ListOptions list;

  CLI::App* check = app.add_subcommand(
      "check", "check a configuration file; print every problem with file, line and column");
  check->add_option("FILE", file, "the file (default: that of -c)");
  check->callback([&] { status = Check(file.empty() ? common.config : file); });
  CLI::App* explain =
      app.add_subcommand("explain", "what a setting means, its default, range and value");
  explain->add_option("KEY", key, "such as smtp.max_recipients; a section; nothing for all");
  explain->callback([&] { status = Explain(common, key); });
  app.add_subcommand("ps", "the processes and how each is confined")->callback([&] {
    status = Ps(common);
  });
  app.add_subcommand("reload", "check the configuration and have the server take it")
      ->callback([&] { status = Reload(common); });
  CLI::App* why = app.add_subcommand("why", "what happened to a message, and why");
  why->add_option("ID", id, "its queue id")->required();
  why->callback([&] { status = Why(common, id); });

  CLI::App* queue = app.add_subcommand("queue", "the messages in the queue");
  queue->require_subcommand(1);
  queue->fallthrough();
  CLI::App* queue_list = queue->add_subcommand("list", "list them");
  queue_list->add_option("--state", list.state, "active, deferred or held alone")
      ->check(CLI::IsMember({"active", "deferred", "held"}));
  queue_list->add_option("--sender", list.sender, "from this address, or @domain");
  queue_list->add_option("--recipient", list.recipient, "to this address, or @domain");
  queue_list->add_option("--limit", list.limit, "at most so many")->capture_default_str();
  queue_list->callback([&] { status = QueueList(common, list); });
  CLI::App* show = queue->add_subcommand("show", "one of them");
  show->add_option("ID", id, "its queue id")->required();
  show->add_flag("--content", content, "the message itself (RFC 5322)");
  show->callback([&] { status = QueueShow(common, id, content); });
  const auto act = [&](const char* name, const char* help, admin::Verb verb) {
    CLI::App* command = queue->add_subcommand(name, help);
    command->add_option("ID", ids, "queue ids");
    command->add_flag("--all", all, "every message");
    if (verb == admin::Verb::kHold)
      command->add_option("--reason", reason, "why, for those who look");
    if (verb == admin::Verb::kFlush)
      command->add_option("--destination", destination, "those for one domain or next hop");
    command->callback(
        [&, verb] { status = QueueAct(common, verb, ids, all, destination, reason); });
  };
  act("hold", "do not deliver for the time being", admin::Verb::kHold);
  act("release", "deliver what was held", admin::Verb::kRelease);
  act("requeue", "try again now", admin::Verb::kRequeue);
  act("delete", "remove without a notice to anybody", admin::Verb::kDelete);
  act("flush", "try everything again now", admin::Verb::kFlush);
  queue->add_subcommand("destinations", "next hops, their windows and what failed there")
      ->callback([&] { status = QueueDestinations(common); });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return status;
}
