// tests/testing/frame_size.h — how large a coroutine's frame is: a session costs its frame.
#pragma once

#include <cstdio>
#include <string_view>

#include "common/io/frame_pool.h"
#include "common/io/task.h"

namespace postern::test {

// Prints and returns the size in octets. Make the task in the call, PrintFrameSize("session",
// connection.Serve()): its frame must be the last one allocated. It is not run.
template <class T>
size_t PrintFrameSize(std::string_view name, io::Task<T> task) {
  const size_t octets = io::FramePool::stats().last_octets;
  std::printf("frame  %-40.*s %6zu octets\n", static_cast<int>(name.size()), name.data(), octets);
  return octets;
}

}  // namespace postern::test
