#include "common/io/task.h"

#include "common/io/event.h"
#include "common/io/frame_pool.h"
#include "common/io/scope.h"
#include "tests/testing/fake_loop.h"
#include "tests/testing/status_matchers.h"

namespace postern::io {
namespace {

using test::FakeLoop;
using test::IsOk;
using test::RunInFakeLoop;
using test::StatusIs;

Task<int> Depth(int levels) {
  if (levels == 0) co_return 0;
  const int below = co_await Depth(levels - 1);
  co_return below + 1;
}

Task<absl::Status> GoDeep(int levels, int& reached) {
  reached = co_await Depth(levels);
  co_return absl::OkStatus();
}

TEST(Task, NestsAHundredThousandDeepWithoutTheStack) {
  int reached = 0;
  EXPECT_THAT(RunInFakeLoop(GoDeep(100'000, reached)), IsOk());
  EXPECT_EQ(reached, 100'000);
  EXPECT_EQ(FramePool::stats().live, 0u);
}

struct MoveOnly {
  explicit MoveOnly(std::string text) : text(std::make_unique<std::string>(std::move(text))) {}
  std::unique_ptr<std::string> text;
};

Task<MoveOnly> Make(std::string text) { co_return MoveOnly(std::move(text)); }
Task<absl::StatusOr<std::unique_ptr<int>>> MakeOr(int n) { co_return std::make_unique<int>(n); }

Task<absl::Status> TakeMoveOnly(std::string& text, int& number) {
  const MoveOnly made = co_await Make("moved");
  text = *made.text;
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<int> n, co_await MakeOr(7));
  number = *n;
  co_return absl::OkStatus();
}

TEST(Task, ResultsNeedOnlyBeMovable) {
  std::string text;
  int number = 0;
  EXPECT_THAT(RunInFakeLoop(TakeMoveOnly(text, number)), IsOk());
  EXPECT_EQ(text, "moved");
  EXPECT_EQ(number, 7);
}

Task<void> Mark(bool& ran) {
  ran = true;
  co_return;
}

Task<absl::Status> MakeThenAwaitOne(bool& first, bool& second) {
  Task<void> never = Mark(first);
  Task<void> awaited = Mark(second);
  if (first || second) co_return absl::InternalError("a task ran before it was awaited");
  co_await std::move(awaited);
  co_return absl::OkStatus();
}

TEST(Task, RunsWhenAwaitedAndOtherwiseNot) {
  bool first = false;
  bool second = false;
  EXPECT_THAT(RunInFakeLoop(MakeThenAwaitOne(first, second)), IsOk());
  EXPECT_FALSE(first);
  EXPECT_TRUE(second);
  EXPECT_EQ(FramePool::stats().live, 0u);
}

Task<absl::Status> AwaitTwice() {
  bool ran = false;
  Task<void> task = Mark(ran);
  co_await std::move(task);
  co_await std::move(task);
  co_return absl::OkStatus();
}

TEST(TaskDeathTest, AwaitingATaskTwiceIsABug) {
  EXPECT_DEATH(IgnoreStatus(RunInFakeLoop(AwaitTwice()), ""), "CHECK");
}

// --- TaskScope

Task<absl::Status> SleepThen(absl::Duration duration, absl::Status status, int& ended) {
  CO_RETURN_IF_ERROR(co_await Sleep(Loop::Current().After(duration)));
  ++ended;
  co_return status;
}

Task<absl::Status> SpawnMoreWhileJoined(TaskScope& scope, int generations, int& ended) {
  CO_RETURN_IF_ERROR(co_await Sleep(Loop::Current().After(absl::Seconds(1))));
  ++ended;
  if (generations > 1) scope.Spawn(SpawnMoreWhileJoined(scope, generations - 1, ended));
  co_return absl::OkStatus();
}

Task<absl::Status> JoinGenerations(int& ended) {
  TaskScope scope;
  scope.Spawn(SpawnMoreWhileJoined(scope, 5, ended));
  co_await scope.Join();
  co_return scope.running() == 0 ? absl::OkStatus() : absl::InternalError("joined too early");
}

TEST(TaskScope, JoinWaitsForChildrenSpawnedMeanwhile) {
  FakeLoop fake;
  int ended = 0;
  EXPECT_THAT(fake.Run(JoinGenerations(ended)), IsOk());
  EXPECT_EQ(ended, 5);
  EXPECT_EQ(fake.elapsed(), absl::Seconds(5));
}

Task<absl::Status> FailAmongOthers(int& ended) {
  TaskScope scope;
  scope.Spawn(SleepThen(absl::Seconds(1), absl::OkStatus(), ended));
  scope.Spawn(SleepThen(absl::Seconds(2), absl::InternalError("first"), ended));
  scope.Spawn(SleepThen(absl::Seconds(2), absl::DataLossError("second"), ended));
  scope.Spawn(SleepThen(absl::Hours(1), absl::OkStatus(), ended));
  co_return co_await scope.JoinOrCancel();
}

TEST(TaskScope, TheFirstFailureIsReturnedAndStopsTheRest) {
  FakeLoop fake;
  int ended = 0;
  EXPECT_THAT(fake.Run(FailAmongOthers(ended)), StatusIs(absl::StatusCode::kInternal));
  EXPECT_EQ(ended, 3);
  EXPECT_EQ(fake.elapsed(), absl::Seconds(2));
}

Task<absl::Status> FailBeforeJoin(int& ended) {
  TaskScope scope;
  scope.Spawn(SleepThen(absl::Seconds(1), absl::InternalError("early"), ended));
  scope.Spawn(SleepThen(absl::Hours(1), absl::OkStatus(), ended));
  CO_RETURN_IF_ERROR(co_await Sleep(Loop::Current().After(absl::Seconds(2))));
  co_return co_await scope.JoinOrCancel();
}

TEST(TaskScope, AFailureBeforeTheJoinCountsToo) {
  FakeLoop fake;
  int ended = 0;
  EXPECT_THAT(fake.Run(FailBeforeJoin(ended)), StatusIs(absl::StatusCode::kInternal));
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(fake.elapsed(), absl::Seconds(2));
}

Task<absl::Status> JoinDeeper(int levels, absl::Status& seen) {
  if (levels == 0) {
    seen = co_await Sleep(Loop::Current().After(absl::Hours(1)));
    co_return seen;
  }
  TaskScope scope;
  scope.Spawn(JoinDeeper(levels - 1, seen));
  co_return co_await scope.JoinOrCancel();
}

Task<absl::Status> StopDeepChildren(absl::Status& seen) {
  TaskScope scope;
  scope.Spawn(JoinDeeper(4, seen));
  CO_RETURN_IF_ERROR(co_await Sleep(Loop::Current().After(absl::Seconds(1))));
  scope.RequestStop();
  co_await scope.Join();
  co_return absl::OkStatus();
}

TEST(TaskScope, AStopRequestReachesChildrenOfChildren) {
  FakeLoop fake;
  absl::Status seen;
  EXPECT_THAT(fake.Run(StopDeepChildren(seen)), IsOk());
  EXPECT_THAT(seen, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(fake.elapsed(), absl::Seconds(1));
}

Task<absl::Status> BeStoppedThenJoin(absl::Status& seen, absl::Status& later) {
  TaskScope scope;
  scope.Spawn(JoinDeeper(0, seen));
  CO_RETURN_IF_ERROR(co_await Sleep(Loop::Current().After(absl::Seconds(1))));
  Loop::Current().RequestStop();
  later = co_await Sleep(Loop::Current().After(absl::Seconds(1)));
  co_await scope.Join();  // not cut short, and it passes on the request made before
  co_return absl::OkStatus();
}

TEST(TaskScope, AStopRequestMadeBeforeTheJoinReachesTheChildrenAtTheJoin) {
  FakeLoop fake;
  absl::Status seen;
  absl::Status later;
  EXPECT_THAT(fake.Run(BeStoppedThenJoin(seen, later)), IsOk());
  EXPECT_THAT(later, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(seen, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(fake.elapsed(), absl::Seconds(1));
}

Task<absl::Status> SpawnIntoAStoppedScope(absl::Status& seen) {
  TaskScope scope;
  scope.RequestStop();
  scope.Spawn(JoinDeeper(0, seen));
  co_await scope.Join();
  co_return absl::OkStatus();
}

TEST(TaskScope, WhatBeginsAfterTheStopRequestIsCancelledAtItsFirstWait) {
  absl::Status seen;
  FakeLoop fake;
  EXPECT_THAT(fake.Run(SpawnIntoAStoppedScope(seen)), IsOk());
  EXPECT_THAT(seen, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(fake.elapsed(), absl::ZeroDuration());
}

Task<absl::Status> NeverMoreThan(size_t limit, size_t& most, int& ended) {
  TaskScope scope;
  for (int i = 0; i < 20; ++i) {
    CO_RETURN_IF_ERROR(co_await scope.WaitBelow(limit, Deadline::Never()));
    scope.Spawn(SleepThen(absl::Seconds(1 + i % 3), absl::OkStatus(), ended));
    most = std::max(most, scope.running());
  }
  const absl::Status too_long =
      co_await scope.WaitBelow(1, Loop::Current().After(absl::Milliseconds(1)));
  co_await scope.Join();
  co_return too_long;
}

TEST(TaskScope, WaitBelowKeepsTheNumberAndItsDeadline) {
  size_t most = 0;
  int ended = 0;
  EXPECT_THAT(RunInFakeLoop(NeverMoreThan(4, most, ended)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(most, 4u);
  EXPECT_EQ(ended, 20);
}

Task<absl::Status> LeaveUnjoined() {
  int ended = 0;
  TaskScope scope;
  scope.Spawn(SleepThen(absl::Seconds(1), absl::OkStatus(), ended));
  co_return absl::OkStatus();
}

TEST(TaskScopeDeathTest, AScopeThatDiesUnjoinedIsABug) {
  EXPECT_DEATH(IgnoreStatus(RunInFakeLoop(LeaveUnjoined()), ""), "running_ == 0");
}

// --- FramePool

TEST(FramePool, CountsFramesAndGivesThemAgain) {
  const FramePool::Stats before = FramePool::stats();
  for (const size_t octets : {size_t{1}, size_t{64}, size_t{65}, FramePool::kLargestOctets,
                              FramePool::kLargestOctets + 1, size_t{1'000'000}}) {
    void* frame = FramePool::Allocate(octets);
    std::memset(frame, 0x5a, octets);
    EXPECT_EQ(FramePool::stats().last_octets, octets);
    EXPECT_EQ(FramePool::stats().live, before.live + 1);
    EXPECT_EQ(FramePool::stats().live_octets, before.live_octets + octets);
    FramePool::Free(frame, octets);
    EXPECT_EQ(FramePool::stats().live, before.live);
  }
  EXPECT_EQ(FramePool::stats().allocated, before.allocated + 6);
}

}  // namespace
}  // namespace postern::io
