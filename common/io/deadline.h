// common/io/deadline.h — a moment of the loop's monotonic clock, until which something may take.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

#include "absl/time/time.h"

namespace postern::io {

// Absolute, so that a chain of awaits shares one budget. Made by Loop::After; Never() is for waits
// that only a stop request ends (a listener, a channel between two of our processes).
class Deadline {
 public:
  constexpr Deadline() = default;  // Never()
  static constexpr Deadline Never() { return Deadline(); }
  static constexpr Deadline AtNanoseconds(int64_t monotonic) { return Deadline(monotonic); }

  constexpr bool never() const { return nanoseconds_ == std::numeric_limits<int64_t>::max(); }
  constexpr int64_t nanoseconds() const { return nanoseconds_; }

  // Saturates at Never().
  Deadline operator+(absl::Duration more) const {
    if (never()) return *this;
    const int64_t nanoseconds = absl::ToInt64Nanoseconds(more);
    int64_t sum;
    if (__builtin_add_overflow(nanoseconds_, nanoseconds, &sum)) return Never();
    return Deadline(sum);
  }
  absl::Duration operator-(Deadline earlier) const {
    if (never()) return absl::InfiniteDuration();
    return absl::Nanoseconds(nanoseconds_ - earlier.nanoseconds_);
  }
  friend constexpr auto operator<=>(Deadline, Deadline) = default;

 private:
  explicit constexpr Deadline(int64_t nanoseconds) : nanoseconds_(nanoseconds) {}
  int64_t nanoseconds_ = std::numeric_limits<int64_t>::max();
};

}  // namespace postern::io
