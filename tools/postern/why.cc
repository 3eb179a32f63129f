#include <cerrno>
#include <cstdio>
#include <fstream>
#include <optional>

#include "common/base/queue_id.h"
#include "tools/postern/commands.h"
#include "tools/postern/story.h"
#include "tools/postern/text.h"

namespace postern::tool {
namespace {

namespace admin = protocol::admin;

// Line by line: a log may be larger than memory. The file before the last rotation comes first.
absl::Status ReadLog(const std::string& file, StoryReader& story) {
  for (const std::string& part : {file + ".1", file}) {
    errno = 0;
    std::ifstream in(part, std::ios::binary);
    if (!in && part == file) return ErrnoStatus(errno, "cannot read the log ", part);
    for (std::string line; std::getline(in, line);) story.TakeLine(line);
  }
  return absl::OkStatus();
}

// nullopt: it is not in the queue.
absl::StatusOr<std::optional<admin::Message>> FindInQueue(const config::Settings& settings,
                                                          uint64_t id) {
  ASSIGN_OR_RETURN(std::vector<AdminClient> shards, AskQueues(settings));
  for (AdminClient& shard : shards) {
    ASSIGN_OR_RETURN(const admin::Shown shown,
                     shard.Ask<admin::Shown>(admin::Show{.queue_id = id, .content = false}));
    if (shown.error.empty()) return shown.message;
  }
  return std::nullopt;
}

int Tell(const std::vector<log::Record>& records,
         const absl::StatusOr<std::optional<admin::Message>>& now) {
  for (const log::Record& record : records) std::printf("%s\n", Sentence(record).c_str());
  if (!now.ok()) {
    std::printf("Now: unknown: %s\n", std::string(Message(now.status())).c_str());
  } else if (now->has_value()) {
    std::printf("Now, in the queue:\n%s", ToText(**now).c_str());
  } else {
    std::printf("Now: not in the queue\n");
  }
  return kDone;
}

}  // namespace

int Why(const Common& common, const std::string& text) {
  const absl::StatusOr<uint64_t> id = ParseId(text);
  if (!id.ok()) return Misuse(std::string(Message(id.status())));
  const absl::StatusOr<config::Settings> settings = ReadSettings(common);
  if (!settings.ok()) return Complain(settings.status());
  const std::string name = QueueId(*id).ToString();
  if (settings->log.target != config::LogTarget::kFile)
    return Complain(
        FailedPrecondition("the log is not a file (log.target): ask journalctl "
                           "POSTERN_ID=",
                           name));
  StoryReader story(name);
  if (const absl::Status read = ReadLog(settings->log.file, story); !read.ok())
    return Complain(read);
  const auto now = FindInQueue(*settings, *id);
  if (story.records().empty() && !(now.ok() && now->has_value()))
    return Complain(
        NotFound("nothing about ", name, " in ", settings->log.file, " nor in the queue"));
  if (!common.as_json) return Tell(story.records(), now);
  nlohmann::json records = nlohmann::json::array();
  for (const log::Record& record : story.records()) records.push_back(ToJson(record));
  std::fputs(Dump(records).c_str(), stdout);
  return kDone;
}

}  // namespace postern::tool
