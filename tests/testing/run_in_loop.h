// tests/testing/run_in_loop.h — runs a coroutine on a real loop, on the backend a test names.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "common/io/loop.h"
#include "common/io/probe.h"

namespace postern::test {

// nullptr (and the test is skipped, with the reason) where the kernel has no ring for us.
inline std::unique_ptr<io::Loop> MakeLoop(io::BackendKind backend, uint32_t buffers = 64) {
  io::LoopOptions options;
  options.backend = backend;
  options.ring_entries = 64;
  options.buffer_count = buffers;
  options.buffer_octets = 4096;
  absl::StatusOr<std::unique_ptr<io::Loop>> loop = io::Loop::Create(options);
  EXPECT_TRUE(loop.ok()) << loop.status();
  return loop.ok() ? *std::move(loop) : nullptr;
}

inline bool Usable(io::BackendKind backend) {
  return backend != io::BackendKind::kUring || io::UringWorks();
}

// A test fixture over both backends.
class OnBothBackends : public ::testing::TestWithParam<io::BackendKind> {
 protected:
  void SetUp() override {
    if (!Usable(GetParam())) GTEST_SKIP() << "io_uring is refused here";
    loop = MakeLoop(GetParam());
    ASSERT_NE(loop, nullptr);
  }
  void Run(io::Task<absl::Status> task) {
    const absl::Status ended = loop->Run(std::move(task));
    EXPECT_TRUE(ended.ok()) << ended;
  }
  std::unique_ptr<io::Loop> loop;
};

inline std::string BackendName(const ::testing::TestParamInfo<io::BackendKind>& info) {
  return info.param == io::BackendKind::kUring ? "uring" : "epoll";
}

}  // namespace postern::test

#define ON_BOTH_BACKENDS(suite)                                                              \
  INSTANTIATE_TEST_SUITE_P(                                                                  \
      Backends, suite,                                                                       \
      ::testing::Values(postern::io::BackendKind::kUring, postern::io::BackendKind::kEpoll), \
      postern::test::BackendName)
