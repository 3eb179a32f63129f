// tests/testing/fake_loop.h — a loop without a kernel: its clock stands still while anything can
// run, and jumps to the next timer when nothing can. Events, sleeps and memory streams work on it;
// sockets and files do not (CHECK). So an hour of retries passes in no time, and always alike.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "common/io/backend.h"
#include "common/io/loop.h"

namespace postern::test {

// The clock begins one hour after zero, the wall clock at 2026-01-01 00:00:00 UTC.
class FakeBackend final : public io::Backend {
 public:
  static constexpr int64_t kStartNanoseconds = 3'600'000'000'000;
  static constexpr int64_t kWallStartNanoseconds = 1'767'225'600'000'000'000;

  std::string_view name() const override { return "fake"; }
  bool Start(io::Operation& operation, int* result) override;
  void Cancel(io::Operation& operation) override;
  void Close(int fd) override;
  // Without a limit nobody could ever go on: calls `on_stall`, or, if there is none, fails with
  // kFailedPrecondition.
  absl::Status Wait(int64_t timeout_ns) override;
  char* BufferAt(uint32_t id) override;
  void ReturnBuffer(uint32_t id) override;
  int64_t NowNanoseconds() const override { return now_ns_; }
  int64_t WallNanoseconds() const override {
    return kWallStartNanoseconds + (now_ns_ - kStartNanoseconds) + wall_jump_ns_;
  }

  void Advance(absl::Duration duration) { now_ns_ += absl::ToInt64Nanoseconds(duration); }
  void JumpWall(absl::Duration by) { wall_jump_ns_ += absl::ToInt64Nanoseconds(by); }
  void set_on_stall(std::function<absl::Status()> on_stall) { on_stall_ = std::move(on_stall); }

 private:
  int64_t now_ns_ = kStartNanoseconds;
  int64_t wall_jump_ns_ = 0;
  std::function<absl::Status()> on_stall_;
};

// A loop on a FakeBackend.
class FakeLoop {
 public:
  FakeLoop();

  io::Loop& loop() { return loop_; }
  absl::Duration elapsed() const {
    return absl::Nanoseconds(backend_->NowNanoseconds() - FakeBackend::kStartNanoseconds);
  }
  // From inside a task: time goes by while it computes.
  void Advance(absl::Duration duration) { backend_->Advance(duration); }
  // Somebody sets the wall clock; the monotonic one takes no notice.
  void JumpWall(absl::Duration by) { backend_->JumpWall(by); }

  // Runs `root` to its end. If everybody waits for everybody else, `root` is asked to stop, and
  // once it has unwound the result is kFailedPrecondition ("stalled: ..."). A task that waits on
  // after that cannot be ended: the process is (CHECK).
  absl::Status Run(io::Task<absl::Status> root);

 private:
  absl::Status OnStall();

  FakeBackend* backend_;
  io::Loop loop_;
  bool stalled_ = false;
};

// FakeLoop().Run(root), for a test that needs no more. Inside the task, io::Loop::Current() is it.
absl::Status RunInFakeLoop(io::Task<absl::Status> root);

}  // namespace postern::test
