#include "tools/postern/story.h"

#include <time.h>

#include "common/base/escape.h"

namespace postern::tool {
namespace {

constexpr size_t kValueOctets = 1024;

class Teller {
 public:
  explicit Teller(const log::Record& record) : record_(record) {}

  std::string What() const {
    const std::string_view event = record_.event;
    if (event.starts_with("message.")) return Message(event.substr(event.find('.') + 1));
    if (event.starts_with("notice.")) return Notice(event.substr(event.find('.') + 1));
    if (event == "remote.failed")
      return "tried " + Value("remote") + ", which did not work" + Because("reason");
    if (event == "deliver.stored") return "written to the mailbox of " + Value("user");
    if (event == "deliver.failed")
      return "the mailbox of " + Value("user") + " did not take it" + Because("reason");
    return AsWritten();
  }

 private:
  std::string Value(std::string_view key) const {
    return Escaped(record_.Field(key), kValueOctets);
  }
  std::string To() const { return "<" + Value("to") + ">"; }
  std::string Because(std::string_view key) const {
    return record_.Field(key).empty() ? "" : ": " + Value(key);
  }
  std::string By() const {
    if (record_.Field("by").empty()) return "";
    return " by " + Value("by") +
           (record_.Field("uid").empty() ? "" : " (user " + Value("uid") + ")");
  }
  std::string With(std::string_view key) const {
    return record_.Field(key).empty() ? "" : " (" + Value(key) + ")";
  }

  std::string Message(std::string_view verb) const {
    if (verb == "queued") return Queued();
    if (verb == "refused") return "refused" + With("status") + Because("reason");
    if (verb == "delivered")
      return "delivered to " + To() +
             (record_.Field("user").empty() ? "" : ", mailbox of " + Value("user"));
    if (verb == "relayed") return "taken by " + Value("remote") + " for " + To() + Because("reply");
    if (verb == "deferred" && record_.Field("to").empty())
      return "not delivered this time" + With("status") + Because("reason");
    if (verb == "deferred")
      return "not delivered to " + To() + " this time" + With("status") + Because("reason");
    if (verb == "bounced")
      return "given up: " + To() + " cannot be reached" + With("status") + Because("reason");
    if (verb == "expired") return "given up: it was in the queue for too long";
    if (verb == "discarded") return "thrown away" + Because("reason");
    if (verb == "held") return "held" + By() + Because("reason");
    if (verb == "released") return "released" + By() + Because("reason");
    if (verb == "requeued") return "to be tried again now" + By() + Because("reason");
    if (verb == "deleted") return "deleted" + By() + Because("reason");
    if (verb == "removed") return "done: it left the queue";
    if (verb == "expanded") return To() + " stands for " + Value("into");
    return AsWritten();
  }

  std::string Queued() const {
    if (!record_.Field("error").empty())
      return "not taken: it could not be stored" + Because("error");
    const std::string_view count = record_.Field("recipients");
    return "accepted from <" + Value("from") + ">, sent by " + Value("client") + " (" +
           Value("size") + " octets, " + Value("recipients") +
           (count == "1" ? " recipient)" : " recipients)");
  }

  std::string Notice(std::string_view verb) const {
    const std::string kind = record_.Field("kind").empty() ? "" : Value("kind") + " ";
    if (verb == "sent")
      return "a " + kind + "notice went to " + To() +
             (record_.Field("notice").empty() ? "" : " as " + Value("notice"));
    if (verb == "skipped") return "no " + kind + "notice was called for" + Because("reason");
    if (verb == "failed")
      return "a notice could not be made; it will be tried again" + Because("reason") +
             Because("error");
    if (verb == "double")
      return "no notice is sent about a notice; " + To() + " did not get it" + Because("reason");
    return AsWritten();
  }

  std::string AsWritten() const {
    std::string all = record_.event;
    for (const auto& [key, value] : record_.fields)
      all += ' ' + key + '=' + Escaped(value, kValueOctets);
    return all;
  }

  const log::Record& record_;
};

}  // namespace

std::string FormatTime(int64_t unix_us) {
  const time_t seconds = unix_us / 1'000'000;
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  ::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &parts);
  return text;
}

std::string Counted(uint64_t count, std::string_view what) {
  return std::to_string(count) + ' ' + std::string(what) + (count == 1 ? "" : "s");
}

void StoryReader::TakeLine(std::string_view line) {
  if (line.find(id_) == std::string_view::npos) return;  // most lines are about others
  Parsed<log::Record> record = log::ParseLine(line);
  if (record.has_value() && record->id == id_) records_.push_back(*std::move(record));
}

std::string Sentence(const log::Record& record) {
  return FormatTime(record.time_us) + "  " + record.daemon + ": " + Teller(record).What();
}

}  // namespace postern::tool
