// common/io/frame_pool.h — where coroutine frames live.
//
// Frames come and go with every call, so they are taken from free lists by size class instead of
// the general heap. Freed frames stay with the pool: its memory is that of the busiest moment. One
// thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postern::io {

class FramePool {
 public:
  static constexpr size_t kClassOctets = 64;      // size classes are multiples of this
  static constexpr size_t kLargestOctets = 8192;  // larger frames go to the heap

  static void* Allocate(size_t octets);
  static void Free(void* frame, size_t octets);

  struct Stats {
    uint64_t allocated = 0;  // frames handed out since start
    uint64_t live = 0;       // now
    size_t live_octets = 0;  // now, as asked for
    size_t last_octets = 0;  // size of the frame handed out last: tests read session frames' sizes
  };
  static const Stats& stats();
};

}  // namespace postern::io
