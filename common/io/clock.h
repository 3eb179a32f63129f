// common/io/clock.h — the two clocks of the kernel, in nanoseconds.
#pragma once

#include <time.h>

#include <cstdint>

namespace postern::io {

inline int64_t ClockNanoseconds(clockid_t clock) {
  timespec now;
  ::clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}
inline int64_t MonotonicNanoseconds() { return ClockNanoseconds(CLOCK_MONOTONIC); }
inline int64_t RealtimeNanoseconds() { return ClockNanoseconds(CLOCK_REALTIME); }

}  // namespace postern::io
