#include "tools/postern/server.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/base/escape.h"
#include "common/base/queue_id.h"

namespace postern::tool {

int Complain(const absl::Status& status) {
  std::fflush(stdout);
  std::fprintf(stderr, "postern: %s\n", std::string(Message(status)).c_str());
  return absl::IsUnavailable(status) ? kNotReachable : kFailed;
}

int Misuse(const std::string& message) {
  std::fprintf(stderr, "postern: %s\n", message.c_str());
  return kUsage;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return InvalidArgument(path, " is a directory");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoStatus(errno, "cannot read ", path);
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

absl::StatusOr<config::Settings> ReadSettings(const Common& common) {
  const absl::StatusOr<std::string> text = ReadFile(common.config);
  if (!text.ok())
    return FailedPrecondition(Message(text.status()), " (name the configuration with -c FILE)");
  config::Outcome outcome = config::Parse(*text, std::filesystem::absolute(common.config).string());
  if (outcome.ok()) return *std::move(outcome.settings);
  return InvalidArgument(outcome.problems.front().ToString());
}

absl::StatusOr<AdminClient> AskMaster(const Common& common) {
  ASSIGN_OR_RETURN(const config::Settings settings, ReadSettings(common));
  return AdminClient::Connect(settings.run_directory + "/master.sock");
}

absl::StatusOr<std::vector<AdminClient>> AskQueues(const config::Settings& settings) {
  std::vector<AdminClient> clients;
  for (size_t i = 0; i < settings.queue.directories.size(); ++i) {
    ASSIGN_OR_RETURN(AdminClient client,
                     AdminClient::Connect(StrCat(settings.run_directory, "/queue-", i, ".sock")));
    clients.push_back(std::move(client));
  }
  return clients;
}

absl::StatusOr<std::vector<AdminClient>> AskQueues(const Common& common) {
  ASSIGN_OR_RETURN(const config::Settings settings, ReadSettings(common));
  return AskQueues(settings);
}

absl::StatusOr<uint64_t> ParseId(const std::string& text) {
  const Parsed<QueueId> id = QueueId::Parse(text);
  if (id.has_value() && id->valid()) return id->value();
  return InvalidArgument(Escaped(text), " is no queue id (13 characters, as in the log): ",
                         id.has_value() ? "it is no message's" : id.error().reason);
}

}  // namespace postern::tool
