// tests/daemons/resolvd/on_loop.h — runs a test's coroutine on each backend.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/io/loop.h"
#include "common/io/probe.h"

namespace postern::resolvd::test {

// A sanitizer makes calls of its own that no profile allows.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define POSTERN_SANITIZED 1
#endif
#endif
#if defined(POSTERN_SANITIZED)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

class OnLoop : public testing::TestWithParam<io::BackendKind> {
 protected:
  void SetUp() override {
    if (GetParam() == io::BackendKind::kUring && !io::UringWorks())
      GTEST_SKIP() << "no io_uring here";
    absl::StatusOr<std::unique_ptr<io::Loop>> made = io::Loop::Create({.backend = GetParam()});
    ASSERT_TRUE(made.ok()) << made.status();
    loop_ = *std::move(made);
  }
  void Run(io::Task<absl::Status> task) {
    const absl::Status ended = loop_->Run(std::move(task));
    EXPECT_TRUE(ended.ok()) << ended;
  }
  io::Deadline Soon() const { return loop_->After(absl::Seconds(10)); }

  std::unique_ptr<io::Loop> loop_;
};

inline auto Backends() { return testing::Values(io::BackendKind::kEpoll, io::BackendKind::kUring); }
inline std::string BackendName(const testing::TestParamInfo<io::BackendKind>& info) {
  return info.param == io::BackendKind::kUring ? "uring" : "epoll";
}

}  // namespace postern::resolvd::test
