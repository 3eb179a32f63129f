#include "tools/postern/story.h"

#include <time.h>

#include "common/base/escape.h"

namespace postern::tool {
namespace {

std::string Value(const log::Record& record, std::string_view key) {
  return Escaped(record.Field(key));
}

std::string What(const log::Record& record) {
  const std::string_view event = record.event;
  const std::string to = "<" + Value(record, "to") + ">";
  const auto because = [&](std::string_view key) {
    return record.Field(key).empty() ? std::string() : ": " + Value(record, key);
  };
  if (event == "message.queued") {
    if (!record.Field("error").empty()) return "refused: it could not be stored" + because("error");
    return "accepted from <" + Value(record, "from") + ">, sent by " + Value(record, "client") +
           " (" + Value(record, "size") + " octets, " + Value(record, "recipients") +
           " recipients)";
  }
  if (event == "message.delivered")
    return "delivered to " + to + ", mailbox of " + Value(record, "user");
  if (event == "message.relayed")
    return "taken by " + Value(record, "remote") + " for " + to + because("reply");
  if (event == "message.deferred")
    return "not delivered to " + to + " this time (" + Value(record, "status") + ")" +
           because("reason");
  if (event == "message.bounced")
    return "returned: " + to + " cannot be reached (" + Value(record, "status") + ")" +
           because("reason");
  if (event == "message.expired") return "given up: it was in the queue for too long";
  if (event == "message.held") return "held" + because("reason");
  if (event == "message.released") return "released";
  if (event == "message.deleted") return "deleted" + because("reason");
  if (event == "message.removed") return "done: it left the queue";
  if (event == "notice.sent")
    return "a " + Value(record, "kind") + " notice went to " + to + " as " +
           Value(record, "notice");
  if (event == "notice.double")
    return "no notice is sent about a notice; it could not be delivered to " + to;
  if (event == "remote.failed") return "tried " + Value(record, "remote") + because("reason");
  if (event == "deliver.stored") return "written to the mailbox of " + Value(record, "user");
  if (event == "deliver.failed")
    return "the mailbox of " + Value(record, "user") + " did not take it" + because("reason");
  std::string all(event);
  for (const auto& [key, value] : record.fields) all += ' ' + key + '=' + Escaped(value);
  return all;
}

}  // namespace

std::string FormatTime(int64_t unix_us) {
  const time_t seconds = unix_us / 1'000'000;
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  ::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &parts);
  return text;
}

std::vector<log::Record> RecordsOf(std::string_view log, std::string_view id) {
  std::vector<log::Record> records;
  while (!log.empty()) {
    const std::string_view line = log.substr(0, log.find('\n'));
    log.remove_prefix(std::min(line.size() + 1, log.size()));
    if (line.find(id) == std::string_view::npos) continue;  // most lines are about others
    Parsed<log::Record> record = log::ParseLine(line);
    if (record.has_value() && record->id == id) records.push_back(*std::move(record));
  }
  return records;
}

std::string Sentence(const log::Record& record) {
  return FormatTime(record.time_us) + "  " + record.daemon + ": " + What(record);
}

}  // namespace postern::tool
