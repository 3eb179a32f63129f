// Stop requests and deadlines for each kind of operation, and the backends at their limits.
#include "common/io/operation.h"

#include <fcntl.h>
#include <poll.h>

#include <cerrno>

#include "common/io/file.h"
#include "common/io/scope.h"
#include "common/io/socket.h"
#include "tests/common/io/ends.h"
#include "tests/testing/run_in_loop.h"
#include "tests/testing/status_matchers.h"

namespace postern::io {
namespace {

using test::IsOk;
using test::StatusIs;

class OperationTest : public test::OnBothBackends {};
ON_BOTH_BACKENDS(OperationTest);

// An operation that waits for ever on the descriptors of this table's maker.
struct Pending {
  const char* name;
  OpCode code;
  int flags = 0;
};
constexpr Pending kPending[] = {
    {"receive", OpCode::kReceive},
    {"receive, not blocking", OpCode::kReceive, MSG_DONTWAIT},
    {"send", OpCode::kSend, MSG_WAITALL},
    {"receive message", OpCode::kReceiveMessage},
    {"send message", OpCode::kSendMessage},
    {"poll", OpCode::kPoll, POLLIN},
    {"accept", OpCode::kAccept},
    {"wait", OpCode::kWait},
};

struct Fixture {
  Fixture() : listener(Listening()) {
    std::tie(near_end, far_end) = Ends();
    Flood(near_end.get(), 100'000'000);  // so that sending waits; receiving waits anyhow
    piece = {buffer.data(), buffer.size()};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
  }
  void Fill(const Pending& what, Operation& op) {
    op.fd = what.code == OpCode::kAccept ? listener.get() : near_end.get();
    op.flags = what.flags;
    op.buffer = buffer.data();
    op.length = static_cast<uint32_t>(buffer.size());
    if (what.code == OpCode::kReceiveMessage || what.code == OpCode::kSendMessage) {
      op.buffer = &message;
    }
    if (what.code == OpCode::kAccept) op.buffer = nullptr;
  }

  UniqueFd listener;
  UniqueFd near_end;
  UniqueFd far_end;
  std::string buffer = std::string(100'000, 'b');
  iovec piece{};
  msghdr message{};
};

Task<absl::Status> Begin(Loop& loop, Fixture& fixture, const Pending& what, Deadline until,
                         int& result) {
  OperationAwaiter operation(loop, what.code, until);
  fixture.Fill(what, operation);
  result = co_await operation;
  co_return absl::OkStatus();
}

constexpr int kNothingYet = 12345;

Task<absl::Status> StopIt(Loop& loop, const Pending& what, int& before, int& result,
                          bool& written_after) {
  Fixture fixture;
  TaskScope scope;
  result = kNothingYet;
  scope.Spawn(Begin(loop, fixture, what, Deadline::Never(), result));
  CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  before = result;
  scope.RequestStop();
  co_await scope.Join();
  // The kernel has let go: what arrives now goes into nobody's buffer.
  const std::string kept = fixture.buffer;
  EXPECT_EQ(::send(fixture.far_end.get(), "late", 4, MSG_NOSIGNAL), 4);
  CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  written_after = fixture.buffer != kept;
  co_return loop.pending() == 0 ? absl::OkStatus() : absl::InternalError("still under way");
}

TEST_P(OperationTest, AStopRequestEndsEachKindAndTheKernelLetsGo) {
  for (const Pending& what : kPending) {
    int before = 0;
    int result = 0;
    bool written_after = true;
    Run(StopIt(*loop, what, before, result, written_after));
    EXPECT_EQ(before, kNothingYet) << what.name;
    EXPECT_EQ(result, -ECANCELED) << what.name;
    EXPECT_FALSE(written_after) << what.name;
  }
}

Task<absl::Status> LetItExpire(Loop& loop, const Pending& what, int& result) {
  Fixture fixture;
  CO_RETURN_IF_ERROR(
      co_await Begin(loop, fixture, what, loop.After(absl::Milliseconds(2)), result));
  co_return loop.pending() == 0 ? absl::OkStatus() : absl::InternalError("still under way");
}

TEST_P(OperationTest, ADeadlineEndsEachKind) {
  for (const Pending& what : kPending) {
    int result = 0;
    Run(LetItExpire(*loop, what, result));
    EXPECT_EQ(result, -ETIME) << what.name;
  }
}

Task<absl::Status> BeginStopped(Loop& loop, const Pending& what, int& result) {
  Fixture fixture;
  TaskScope scope;
  scope.RequestStop();
  scope.Spawn(Begin(loop, fixture, what, Deadline::Never(), result));
  const uint64_t operations = loop.counters().operations;
  co_await scope.Join();
  // One: the join's own wait.
  co_return loop.counters().operations == operations + 1 ? absl::OkStatus()
                                                         : absl::InternalError("it was started");
}

TEST_P(OperationTest, WhatBeginsAfterAStopRequestIsNotStarted) {
  for (const Pending& what : kPending) {
    int result = 0;
    Run(BeginStopped(*loop, what, result));
    EXPECT_EQ(result, -ECANCELED) << what.name;
  }
}

// The bytes are there before the kernel hears of the cancellation: they count as received.
Task<absl::Status> CrossWithCompletion(Loop& loop, int& result) {
  Fixture fixture;
  TaskScope scope;
  result = kNothingYet;
  scope.Spawn(Begin(loop, fixture, kPending[0], Deadline::Never(), result));
  CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  EXPECT_EQ(::send(fixture.far_end.get(), "cross", 5, MSG_NOSIGNAL), 5);
  scope.RequestStop();
  co_await scope.Join();
  char rest[16];
  const ssize_t left = ::recv(fixture.near_end.get(), rest, sizeof rest, MSG_DONTWAIT);
  // Either it was received, or it is there still; never both, never neither.
  const bool received = result == 5 && left < 0;
  const bool cancelled = result == -ECANCELED && left == 5;
  co_return received || cancelled ? absl::OkStatus() : absl::InternalError("bytes were lost");
}

TEST_P(OperationTest, ACancellationThatCrossesTheCompletionLosesNothing) {
  int result = 0;
  Run(CrossWithCompletion(*loop, result));
}

Task<absl::Status> DoNotBlock(Loop& loop, std::string& got) {
  Fixture fixture;
  TaskScope scope;
  int result = 0;
  scope.Spawn(Begin(loop, fixture, kPending[1], Deadline::Never(), result));
  CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  EXPECT_EQ(::send(fixture.far_end.get(), "here", 4, MSG_NOSIGNAL), 4);
  co_await scope.Join();
  got = fixture.buffer.substr(0, static_cast<size_t>(std::max(0, result)));
  co_return absl::OkStatus();
}

TEST_P(OperationTest, NotNowMeansWaitWhateverTheKernelMakesOfIt) {
  std::string got;
  Run(DoNotBlock(*loop, got));
  EXPECT_EQ(got, "here");
}

Task<absl::Status> PollOnce(Loop& loop, int fd, int events, int& ready) {
  CO_ASSIGN_OR_RETURN(ready, co_await Poll(loop, fd, events, loop.After(absl::Seconds(60))));
  co_return absl::OkStatus();
}

Task<absl::Status> PollForSeveral(Loop& loop, int& ready) {
  Fixture fixture;
  TaskScope scope;
  scope.Spawn(PollOnce(loop, fixture.near_end.get(), POLLIN | POLLOUT, ready));
  CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  EXPECT_EQ(ready, 0);
  EXPECT_EQ(::send(fixture.far_end.get(), "x", 1, MSG_NOSIGNAL), 1);
  co_return co_await scope.JoinOrCancel();
}

TEST_P(OperationTest, APollForSeveralEventsEndsAtTheFirst) {
  int ready = 0;
  Run(PollForSeveral(*loop, ready));
  EXPECT_EQ(ready, POLLIN);
}

Task<absl::Status> PollReady(Loop& loop, int& ready) {
  auto [a, b] = Ends();
  CO_RETURN_IF_ERROR(co_await PollOnce(loop, a.get(), POLLOUT, ready));
  b.reset();
  int hung_up = 0;
  CO_RETURN_IF_ERROR(co_await PollOnce(loop, a.get(), POLLIN, hung_up));
  EXPECT_NE(hung_up & POLLHUP, 0);
  co_return absl::OkStatus();
}

TEST_P(OperationTest, APollOfWhatIsReadyEndsAtOnce) {
  int ready = 0;
  Run(PollReady(*loop, ready));
  EXPECT_EQ(ready, POLLOUT);
}

// Many more operations in one turn than the ring has entries (64, completions 512), begun and
// cancelled together.
Task<absl::Status> OverflowTheRing(Loop& loop, int operations, int& cancelled) {
  std::vector<std::unique_ptr<Fixture>> fixtures;
  std::vector<std::pair<UniqueFd, UniqueFd>> ends;
  std::vector<int> results(static_cast<size_t>(operations), kNothingYet);
  TaskScope scope;
  for (int i = 0; i < operations; ++i) {
    ends.push_back(Ends());
    scope.Spawn([](Loop& on, int fd, int& result) -> Task<absl::Status> {
      char octet;
      OperationAwaiter receive(on, OpCode::kReceive, Deadline::Never());
      receive.fd = fd;
      receive.buffer = &octet;
      receive.length = 1;
      result = co_await receive;
      co_return absl::OkStatus();
    }(loop, ends.back().first.get(), results[static_cast<size_t>(i)]));
  }
  CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  EXPECT_EQ(loop.pending(), static_cast<size_t>(operations));
  scope.RequestStop();
  co_await scope.Join();
  cancelled = static_cast<int>(std::count(results.begin(), results.end(), -ECANCELED));
  co_return absl::OkStatus();
}

TEST_P(OperationTest, MoreOperationsThanTheRingHoldsAreAllStartedAndCancelled) {
  int cancelled = 0;
  Run(OverflowTheRing(*loop, 400, cancelled));
  EXPECT_EQ(cancelled, 400);
}

// Completions come all at once: twice as many as their queue holds.
Task<absl::Status> OverflowCompletions(Loop& loop, int operations, int& received) {
  std::vector<UniqueFd> twins;
  auto [near_end, far_end] = Ends();
  TaskScope scope;
  std::vector<int> ready(static_cast<size_t>(operations), 0);
  for (int i = 0; i < operations; ++i) {
    // Polls of one socket by many numbers of it: one byte completes them all.
    twins.emplace_back(::dup(near_end.get()));
    scope.Spawn(PollOnce(loop, twins.back().get(), POLLIN, ready[static_cast<size_t>(i)]));
  }
  CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  EXPECT_EQ(::send(far_end.get(), "x", 1, MSG_NOSIGNAL), 1);
  CO_RETURN_IF_ERROR(co_await scope.JoinOrCancel());
  received = static_cast<int>(std::count(ready.begin(), ready.end(), POLLIN));
  co_return absl::OkStatus();
}

TEST_P(OperationTest, MoreCompletionsThanTheirQueueHoldsAllArrive) {
  int received = 0;
  Run(OverflowCompletions(*loop, 900, received));
  EXPECT_EQ(received, 900);
}

Task<absl::Status> SendAndReceive(Loop& loop, int rounds, uint64_t& turns, uint64_t& entries) {
  auto [a, b] = Ends();
  Socket left(loop, std::move(a));
  Socket right(loop, std::move(b));
  const uint64_t turns_before = loop.counters().turns;
  const uint64_t entries_before = loop.kernel_entries();
  for (int i = 0; i < rounds; ++i) {
    CO_RETURN_IF_ERROR(co_await left.Send("ping", loop.After(absl::Seconds(60))));
    CO_ASSIGN_OR_RETURN(const std::string_view bytes,
                        co_await right.Receive(loop.After(absl::Seconds(60))));
    right.Consume(bytes.size());
  }
  turns = loop.counters().turns - turns_before;
  entries = loop.kernel_entries() - entries_before;
  co_return absl::OkStatus();
}

TEST_P(OperationTest, ATurnOfTheLoopEntersTheKernelOnce) {
  uint64_t turns = 0;
  uint64_t entries = 0;
  Run(SendAndReceive(*loop, 100, turns, entries));
  EXPECT_EQ(entries, turns);
  EXPECT_GE(turns, 50u);
  EXPECT_LE(turns, 201u);  // at most one to send and one to receive
}

}  // namespace
}  // namespace postern::io
