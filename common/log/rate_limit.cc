#include "common/log/rate_limit.h"

#include <utility>

namespace postern::log {

RateLimit::RateLimit(uint32_t burst, int64_t window_us, size_t max_keys)
    : burst_(burst), window_us_(window_us), max_keys_(max_keys) {}

std::optional<uint64_t> RateLimit::Admit(std::string_view key, int64_t now_us) {
  ForgetStale(now_us);
  const auto known = windows_.find(key);
  if (known != windows_.end()) return AdmitIn(known->second, now_us);
  if (windows_.size() >= max_keys_) return AdmitIn(shared_, now_us);
  return AdmitIn(windows_.emplace(std::string(key), Window{.since_us = now_us}).first->second,
                 now_us);
}

std::optional<uint64_t> RateLimit::AdmitIn(Window& window, int64_t now_us) {
  if (now_us - window.since_us >= window_us_) {
    window.since_us = now_us;
    window.admitted = 0;
  }
  if (window.admitted >= burst_) {
    ++window.suppressed;
    return std::nullopt;
  }
  ++window.admitted;
  return std::exchange(window.suppressed, 0) + std::exchange(forgotten_, 0);
}

// Once per window at most, so that the sweep costs each line next to nothing. A window that still
// owes a count is kept for one more, in case its key comes back.
void RateLimit::ForgetStale(int64_t now_us) {
  if (now_us - swept_us_ < window_us_) return;
  swept_us_ = now_us;
  for (auto it = windows_.begin(); it != windows_.end();) {
    const int64_t age_us = now_us - it->second.since_us;
    const bool owes = it->second.suppressed > 0;
    if (age_us >= (owes ? 2 * window_us_ : window_us_)) {
      forgotten_ += it->second.suppressed;
      it = windows_.erase(it);
    } else {
      ++it;
    }
  }
}

}  // namespace postern::log
