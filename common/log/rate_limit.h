// common/log/rate_limit.h — keeps a stranger who repeats himself from filling the log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace postern::log {

// Lets `burst` lines of one key through per window of `window_us` microseconds and counts the rest.
// Pure: the caller brings the (monotonic) time.
//
//   if (const auto suppressed = limit.Admit(client, now_us)) {
//     log::Event(...).Int("suppressed", *suppressed);
//   }
class RateLimit {
 public:
  // At most `max_keys` are told apart; those beyond share one window, so that many clients cost no
  // more memory, and no more lines, than one.
  RateLimit(uint32_t burst, int64_t window_us, size_t max_keys = 1024);

  // nullopt: do not write this one. Otherwise how many were left out since the last one written
  // for the key (also those of keys forgotten since).
  std::optional<uint64_t> Admit(std::string_view key, int64_t now_us);

  size_t keys() const { return windows_.size(); }

 private:
  struct Window {
    int64_t since_us = 0;
    uint32_t admitted = 0;
    uint64_t suppressed = 0;
  };

  std::optional<uint64_t> AdmitIn(Window& window, int64_t now_us);
  void ForgetStale(int64_t now_us);

  uint32_t burst_;
  int64_t window_us_;
  size_t max_keys_;
  int64_t swept_us_ = 0;
  uint64_t forgotten_ = 0;  // suppressed lines of windows that were dropped
  std::map<std::string, Window, std::less<>> windows_;
  Window shared_;
};

}  // namespace postern::log
