// tools/postern/server.h — finding the server that a configuration describes.
#pragma once

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/parse.h"
#include "tools/postern/admin_client.h"

namespace postern::tool {

// What every command has.
struct Common {
  std::string config = "/etc/postern/postern.toml";
  bool as_json = false;
};

// Exit statuses.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kNotReachable = 75;  // EX_TEMPFAIL: the server does not run, or we may not ask

// Says it on standard error; the exit status it means.
int Complain(const absl::Status& status);
int Misuse(const std::string& message);

absl::StatusOr<std::string> ReadFile(const std::string& path);
absl::StatusOr<config::Settings> ReadSettings(const Common& common);

absl::StatusOr<AdminClient> AskMaster(const Common& common);
// One client for each shard of the queue.
absl::StatusOr<std::vector<AdminClient>> AskQueues(const config::Settings& settings);
absl::StatusOr<std::vector<AdminClient>> AskQueues(const Common& common);

// The value of a queue id; the error says what one looks like.
absl::StatusOr<uint64_t> ParseId(const std::string& text);

}  // namespace postern::tool
