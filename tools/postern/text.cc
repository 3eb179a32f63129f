#include "tools/postern/text.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/escape.h"
#include "common/base/queue_id.h"
#include "common/config/convert.h"
#include "common/config/setting.h"
#include "tools/postern/story.h"

namespace postern::tool {
namespace {

namespace admin = protocol::admin;
using nlohmann::json;

constexpr size_t kWholeText = 1 << 20;
constexpr size_t kDiagnosticOctets = 300;

json Explained(const config::Setting& setting, const config::Settings* current) {
  json one = {
      {"key", setting.key},
      {"takes", config::KindName(setting.kind)},
      {"unit", setting.unit},
      {"default", setting.fallback},
      {"default_installed", setting.installed.empty() ? setting.fallback : setting.installed},
      {"range", config::RangeOf(setting)},
      {"choices", json::array()},
      {"reload", setting.reload == config::Reload::kLive},
      {"example", setting.example},
      {"help", setting.help}};
  for (const std::string_view choice : setting.choices) one["choices"].push_back(choice);
  if (current != nullptr) one["now"] = JsonText(config::Load(setting, *current).ToToml());
  return one;
}

}  // namespace

json JsonText(std::string_view foreign) {
  return IsValidUtf8(foreign) ? std::string(foreign) : Escaped(foreign, kWholeText);
}

json JsonTime(int64_t unix_us) {
  if (unix_us == 0) return nullptr;
  std::string text = FormatTime(unix_us);
  std::ranges::replace(text, ' ', 'T');
  return text;
}

std::string_view StateName(admin::State state) {
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

std::string ToText(const admin::Message& message) {
  std::string text =
      fmt::format("{}  {:<8}  {}  {:>8}  <{}>\n", QueueId(message.queue_id).ToString(),
                  StateName(message.state), FormatTime(message.arrival_us), message.octets,
                  Escaped(message.sender));
  if (!message.hold_reason.empty())
    text += fmt::format("      held: {}\n", Escaped(message.hold_reason));
  if (message.state == admin::State::kDeferred) {
    text += fmt::format("      tried {}, next at {}\n", Counted(message.attempts, "time"),
                        FormatTime(message.next_attempt_us));
  }
  for (const admin::Recipient& one : message.recipients) {
    text += fmt::format("      <{}>{}", Escaped(one.address), one.done ? " done" : "");
    if (!one.status.empty() || !one.diagnostic.empty())
      text +=
          ": " + Escaped(one.status + (one.status.empty() || one.diagnostic.empty() ? "" : " ") +
                             one.diagnostic,
                         kDiagnosticOctets);
    text += '\n';
  }
  const auto left =
      std::ranges::count_if(message.recipients, [](const auto& one) { return !one.done; });
  if (message.recipient_count > left)
    text += fmt::format("      and {} more\n", message.recipient_count - left);
  return text;
}

std::string ToText(const admin::Destination& one) {
  std::string text = fmt::format("{:<40}  window {:>3}  in flight {:>3}  waiting {:>6}",
                                 Escaped(one.name), one.window, one.in_flight, one.waiting);
  if (one.failures > 0) {
    text += fmt::format("  failed {}", Counted(one.failures, "time"));
    if (one.next_attempt_us != 0) text += ", next at " + FormatTime(one.next_attempt_us);
    if (!one.last_error.empty()) text += ": " + Escaped(one.last_error, kDiagnosticOctets);
  }
  return text + '\n';
}

std::string ProcessHeading() {
  return fmt::format("{:<16} {:>8} {:>7} {:<10} {:<20} {:>8} {:<6} {}\n", "PROCESS", "PID", "UID",
                     "STATE", "SINCE", "RESTARTS", "IO", "CONFINEMENT; COUNTERS");
}

std::string ToText(const admin::Process& one) {
  return fmt::format("{:<16} {:>8} {:>7} {:<10} {:<20} {:>8} {:<6} {}{}{}\n", Escaped(one.name),
                     one.pid, one.uid, Escaped(one.state), FormatTime(one.since_us), one.restarts,
                     Escaped(one.backend), Escaped(one.layers), one.counters.empty() ? "" : "; ",
                     Escaped(one.counters, 1024));
}

json ToJson(const admin::Message& message) {
  json recipients = json::array();
  for (const admin::Recipient& one : message.recipients) {
    recipients.push_back({{"address", JsonText(one.address)},
                          {"orcpt", JsonText(one.orcpt)},
                          {"done", one.done},
                          {"status", JsonText(one.status)},
                          {"diagnostic", JsonText(one.diagnostic)}});
  }
  const bool waits = message.state == admin::State::kDeferred;
  const auto left = static_cast<uint32_t>(
      std::ranges::count_if(message.recipients, [](const auto& one) { return !one.done; }));
  return {
      {"id", QueueId(message.queue_id).ToString()},
      {"state", StateName(message.state)},
      {"sender", JsonText(message.sender)},
      {"arrival", JsonTime(message.arrival_us)},
      {"octets", message.octets},
      {"attempts", message.attempts},
      {"next_attempt", waits ? JsonTime(message.next_attempt_us) : json()},
      {"hold_reason", JsonText(message.hold_reason)},
      {"recipients_left", message.recipient_count},
      {"recipients_not_listed", message.recipient_count - std::min(left, message.recipient_count)},
      {"recipients", std::move(recipients)}};
}

json ToJson(const admin::Destination& one) {
  return {{"name", JsonText(one.name)},
          {"window", one.window},
          {"in_flight", one.in_flight},
          {"waiting", one.waiting},
          {"failures", one.failures},
          {"next_attempt", JsonTime(one.next_attempt_us)},
          {"last_error", JsonText(one.last_error)}};
}

std::string ToText(const admin::Reloaded& one) {
  if (!one.error.empty()) {
    std::string text = "postern: nothing has changed:\n";
    for (std::string_view left = one.error; !left.empty();) {
      const size_t end = std::min(left.find('\n'), left.size());
      text += Escaped(left.substr(0, end), kWholeText) + "\n";
      left.remove_prefix(std::min(end + 1, left.size()));
    }
    return text;
  }
  std::string text = "the new configuration is in force\n";
  if (!one.needs_restart.empty()) {
    text += "needs a restart:";
    for (const std::string& key : one.needs_restart) text += " " + Escaped(key);
    text += '\n';
  }
  for (const std::string& failure : one.failures)
    text += "not taken by " + Escaped(failure, kDiagnosticOctets) + "\n";
  return text;
}

json ToJson(const admin::Reloaded& one) {
  json failures = json::array();
  for (const std::string& failure : one.failures) failures.push_back(JsonText(failure));
  return {{"error", one.error.empty() ? json() : JsonText(one.error)},
          {"needs_restart", one.needs_restart},
          {"failures", failures}};
}

json ToJson(const admin::Process& one) {
  return {{"name", JsonText(one.name)},
          {"pid", one.pid},
          {"uid", one.uid},
          {"state", JsonText(one.state)},
          {"restarts", one.restarts},
          {"since", JsonTime(one.since_us)},
          {"io", JsonText(one.backend)},
          {"layers", JsonText(one.layers)},
          {"counters", JsonText(one.counters)}};
}

json ToJson(const config::Problem& problem) {
  return {{"file", JsonText(problem.file)},
          {"line", problem.line},
          {"column", problem.column},
          {"message", JsonText(problem.message)}};
}

json ToJson(const log::Record& record) {
  json one = json::object();
  // First, so that no field can pass for one of the line's own.
  for (const auto& [key, value] : record.fields) one[key] = JsonText(value);
  one["time"] = JsonTime(record.time_us);
  one["daemon"] = JsonText(record.daemon);
  one["pid"] = record.pid;
  one["severity"] = log::SeverityName(record.severity);
  one["event"] = JsonText(record.event);
  one["id"] = JsonText(record.id);
  return one;
}

json ExplainAsJson(std::string_view key, const config::Settings* current) {
  if (const config::Setting* setting = config::FindSetting(key))
    return Explained(*setting, current);
  json all = json::array();
  for (const config::Section& section : config::Sections()) {
    if (!key.empty() && section.name != key) continue;
    for (const config::Setting& setting : section.settings)
      all.push_back(Explained(setting, current));
  }
  return all.empty() ? json() : all;
}

std::string Dump(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

}  // namespace postern::tool
