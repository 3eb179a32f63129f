#include "common/io/frame_pool.h"

#include <array>
#include <new>

namespace postern::io {
namespace {

struct FreeFrame {
  FreeFrame* next;
};

constexpr size_t kClasses = FramePool::kLargestOctets / FramePool::kClassOctets;

// Coroutines exist on one thread of each process; tests may run loops on several.
[[maybe_unused]] thread_local std::array<FreeFrame*, kClasses> free_frames{};
thread_local FramePool::Stats current;

[[maybe_unused]] size_t ClassOf(size_t octets) { return (octets - 1) / FramePool::kClassOctets; }

}  // namespace

// Under AddressSanitizer a pooled frame would hide a use after its end.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POSTERN_FRAMES_FROM_HEAP 1
#endif
#endif

void* FramePool::Allocate(size_t octets) {
  ++current.allocated;
  ++current.live;
  current.live_octets += octets;
  current.last_octets = octets;
#if !defined(POSTERN_FRAMES_FROM_HEAP)
  if (octets <= kLargestOctets) {
    const size_t size_class = ClassOf(octets);
    if (FreeFrame* frame = free_frames[size_class]; frame != nullptr) {
      free_frames[size_class] = frame->next;
      return frame;
    }
    return ::operator new((size_class + 1) * kClassOctets);
  }
#endif
  return ::operator new(octets);
}

void FramePool::Free(void* frame, size_t octets) {
  --current.live;
  current.live_octets -= octets;
#if !defined(POSTERN_FRAMES_FROM_HEAP)
  if (octets <= kLargestOctets) {
    const size_t size_class = ClassOf(octets);
    free_frames[size_class] = new (frame) FreeFrame{free_frames[size_class]};
    return;
  }
#endif
  ::operator delete(frame);
}

const FramePool::Stats& FramePool::stats() { return current; }

}  // namespace postern::io
