#include "common/io/event.h"

#include "common/io/scope.h"
#include "tests/testing/fake_loop.h"
#include "tests/testing/status_matchers.h"

namespace postern::io {
namespace {

using test::FakeLoop;
using test::IsOk;
using test::RunInFakeLoop;
using test::StatusIs;

Task<absl::Status> WaitOn(Event& event, Deadline until, std::vector<absl::StatusCode>& seen) {
  const absl::Status status = co_await event.Wait(until);
  seen.push_back(status.code());
  co_return absl::OkStatus();
}

Task<absl::Status> WakeMany(bool set, std::vector<absl::StatusCode>& seen) {
  Event event;
  TaskScope scope;
  for (int i = 0; i < 3; ++i) {
    scope.Spawn(WaitOn(event, Loop::Current().After(absl::Seconds(5)), seen));
  }
  CO_RETURN_IF_ERROR(co_await Sleep(Loop::Current().After(absl::Seconds(1))));
  if (set) {
    event.Set();
  } else {
    event.Wake();
  }
  scope.Spawn(WaitOn(event, Loop::Current().After(absl::Seconds(5)), seen));
  co_return co_await scope.JoinOrCancel();
}

TEST(Event, SetWakesAllAndLetsLaterOnesThrough) {
  FakeLoop fake;
  std::vector<absl::StatusCode> seen;
  EXPECT_THAT(fake.Run(WakeMany(true, seen)), IsOk());
  EXPECT_EQ(seen, std::vector(4, absl::StatusCode::kOk));
  EXPECT_EQ(fake.elapsed(), absl::Seconds(1));
}

TEST(Event, WakeWakesThoseWhoWaitAndNobodyLater) {
  FakeLoop fake;
  std::vector<absl::StatusCode> seen;
  EXPECT_THAT(fake.Run(WakeMany(false, seen)), IsOk());
  std::vector expected(3, absl::StatusCode::kOk);
  expected.push_back(absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(fake.elapsed(), absl::Seconds(6));
}

// The event and the other cause come in the same turn: what happened counts.
Task<absl::Status> SetAndStop(std::vector<absl::StatusCode>& seen, bool set_first) {
  Event event;
  TaskScope scope;
  scope.Spawn(WaitOn(event, Deadline::Never(), seen));
  CO_RETURN_IF_ERROR(co_await Sleep(Loop::Current().After(absl::Seconds(1))));
  if (set_first) event.Set();
  scope.RequestStop();
  if (!set_first) event.Set();
  co_return co_await scope.JoinOrCancel();
}

TEST(Event, SetAndStoppedInOneTurnIsSet) {
  for (const bool set_first : {true, false}) {
    std::vector<absl::StatusCode> seen;
    EXPECT_THAT(RunInFakeLoop(SetAndStop(seen, set_first)), IsOk());
    EXPECT_EQ(seen, std::vector(1, absl::StatusCode::kOk)) << set_first;
  }
}

Task<absl::Status> PastDeadlines(std::vector<absl::StatusCode>& seen) {
  Event event;
  Loop& loop = Loop::Current();
  CO_RETURN_IF_ERROR(co_await WaitOn(event, loop.Now(), seen));
  CO_RETURN_IF_ERROR(co_await WaitOn(event, loop.Now() + absl::Seconds(-1), seen));
  event.Set();
  CO_RETURN_IF_ERROR(co_await WaitOn(event, loop.Now(), seen));
  co_return absl::OkStatus();
}

TEST(Event, ADeadlineThatHasPassedNeedsNoWaitAndASetEventNoTime) {
  FakeLoop fake;
  std::vector<absl::StatusCode> seen;
  EXPECT_THAT(fake.Run(PastDeadlines(seen)), IsOk());
  EXPECT_EQ(seen, (std::vector{absl::StatusCode::kDeadlineExceeded,
                               absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kOk}));
  EXPECT_EQ(fake.elapsed(), absl::ZeroDuration());
}

Task<absl::Status> NoteTime(absl::Duration after, FakeLoop& fake, std::vector<int64_t>& woken) {
  CO_RETURN_IF_ERROR(co_await Sleep(Loop::Current().After(after)));
  woken.push_back(absl::ToInt64Seconds(fake.elapsed()));
  co_return absl::OkStatus();
}

Task<absl::Status> SleepersOfAllKinds(FakeLoop& fake, std::vector<int64_t>& woken) {
  TaskScope scope;
  for (const int seconds : {30, 10, 20, 10, 0, -5, 3600}) {
    scope.Spawn(NoteTime(absl::Seconds(seconds), fake, woken));
  }
  co_return co_await scope.JoinOrCancel();
}

TEST(Sleep, WakesEachInItsTime) {
  FakeLoop fake;
  std::vector<int64_t> woken;
  EXPECT_THAT(fake.Run(SleepersOfAllKinds(fake, woken)), IsOk());
  EXPECT_EQ(woken, (std::vector<int64_t>{0, 0, 10, 10, 20, 30, 3600}));
}

Task<absl::Status> ForeverReady(bool& stop) {
  while (!stop) co_await YieldTurn();
  co_return absl::OkStatus();
}

Task<absl::Status> SetLater(bool& stop) {
  CO_RETURN_IF_ERROR(co_await Sleep(Loop::Current().After(absl::Nanoseconds(1))));
  stop = true;
  co_return absl::OkStatus();
}

Task<absl::Status> YieldUntilATimer(FakeLoop& fake) {
  bool stop = false;
  TaskScope scope;
  scope.Spawn(ForeverReady(stop));
  scope.Spawn(SetLater(stop));
  fake.Advance(absl::Seconds(1));  // time that passes while there is always something to run
  co_return co_await scope.JoinOrCancel();
}

TEST(YieldTurn, OneThatIsAlwaysReadyDoesNotHoldUpTimersAndTheKernel) {
  FakeLoop fake;
  EXPECT_THAT(fake.Run(YieldUntilATimer(fake)), IsOk());
}

TEST(Deadline, SaturatesInsteadOfWrapping) {
  const Deadline soon = Deadline::AtNanoseconds(5);
  EXPECT_TRUE((soon + absl::InfiniteDuration()).never());
  EXPECT_TRUE((Deadline::Never() + absl::Seconds(-1)).never());
  EXPECT_EQ((soon + absl::Seconds(1)) - soon, absl::Seconds(1));
  EXPECT_EQ(Deadline::Never() - soon, absl::InfiniteDuration());
  EXPECT_LT(soon, Deadline::Never());
}

TEST(StopState, ARequestGoesDownAndNotUp) {
  StopState parent;
  StopState child;
  StopState grandchild;
  child.FollowParent(parent);
  grandchild.FollowParent(child);
  child.Request();
  EXPECT_FALSE(parent.requested());
  EXPECT_TRUE(grandchild.requested());
  StopState late;
  parent.Request();
  late.FollowParent(parent);
  EXPECT_TRUE(late.requested());
}

TEST(StopState, OneThatDiesLeavesItsParent) {
  StopState parent;
  {
    StopState child;
    child.FollowParent(parent);
  }
  parent.Request();
  EXPECT_TRUE(parent.requested());
}

}  // namespace
}  // namespace postern::io
