// daemons/master/backoff.h — how long a daemon that died has to wait.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"

namespace postern::master {

// Doubles from kFirst with each death, up to `longest`. One that ran for kStable had no failing
// start: it begins anew.
class Backoff {
 public:
  static constexpr absl::Duration kFirst = absl::Milliseconds(100);
  static constexpr absl::Duration kStable = absl::Seconds(60);

  // `lived`: from its last start to its death.
  absl::Duration OnDeath(absl::Duration lived, absl::Duration longest) {
    if (lived >= kStable) failures_ = 0;
    const absl::Duration delay = kFirst * (int64_t{1} << std::min(failures_, kMaxDoublings));
    ++failures_;
    return std::min(delay, longest);
  }
  // Deaths in a row.
  uint32_t failures() const { return failures_; }

 private:
  static constexpr uint32_t kMaxDoublings = 20;  // 29 hours
  uint32_t failures_ = 0;
};

}  // namespace postern::master
