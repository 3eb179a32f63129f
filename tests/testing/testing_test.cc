// The tools of the tests themselves: a fake clock that is wrong would make every test after it lie.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "common/io/event.h"
#include "common/io/scope.h"
#include "tests/testing/fake_loop.h"
#include "tests/testing/frame_size.h"
#include "tests/testing/memory_stream.h"
#include "tests/testing/scripted_peer.h"
#include "tests/testing/status_matchers.h"

namespace postern::test {
namespace {

using io::Deadline;
using io::Loop;
using io::Task;

Task<absl::Status> SleepOnTheLoop(absl::Duration duration) {
  co_return co_await io::Sleep(Loop::Current().After(duration));
}

TEST(FakeLoop, TheClockJumpsToTheNextTimerAndNoFurther) {
  FakeLoop fake;
  EXPECT_THAT(fake.Run(SleepOnTheLoop(absl::Hours(36))), IsOk());
  EXPECT_EQ(fake.elapsed(), absl::Hours(36));
  EXPECT_EQ(fake.loop().WallTime(),
            absl::FromUnixNanos(FakeBackend::kWallStartNanoseconds) + absl::Hours(36));
}

Task<absl::Status> WaitForNothing() {
  io::Event never;
  co_return co_await never.Wait(Deadline::Never());
}

TEST(FakeLoop, AStallEndsTheRunAndSaysSo) {
  EXPECT_THAT(RunInFakeLoop(WaitForNothing()),
              StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr("stalled")));
}

Task<absl::Status> WaitForNothingWhateverIsAsked() {
  co_await std::suspend_always();  // nobody has its handle
  co_return absl::OkStatus();
}

TEST(FakeLoopDeathTest, ATaskThatIgnoresTheStopRequestEndsTheProcess) {
  EXPECT_DEATH(IgnoreStatus(RunInFakeLoop(WaitForNothingWhateverIsAsked()), ""), "stalled");
}

Task<absl::Status> Copy(io::ByteStream& from, size_t octets, std::string& to, size_t& receives) {
  while (to.size() < octets) {
    CO_ASSIGN_OR_RETURN(const std::string_view bytes, co_await from.Receive(Deadline::Never()));
    if (bytes.empty()) co_return Unavailable("ended early");
    ++receives;
    to += bytes;
    from.Consume(bytes.size());
  }
  co_return absl::OkStatus();
}

Task<absl::Status> SendAll(io::ByteStream& to, std::string bytes) {
  co_return co_await to.Send(bytes, Deadline::Never());
}

Task<absl::Status> Transfer(MemoryStreamOptions options, size_t octets, std::string& got,
                            size_t& receives) {
  auto [left, right] = MakeMemoryStreams(options);
  io::TaskScope scope;
  scope.Spawn(SendAll(*left, std::string(octets, 'x')));
  scope.Spawn(Copy(*right, octets, got, receives));
  co_return co_await scope.JoinOrCancel();
}

TEST(MemoryStream, DeliversAsFewOctetsAtATimeAsItIsTold) {
  for (const size_t each : {size_t{1}, size_t{7}, size_t{1000}}) {
    std::string got;
    size_t receives = 0;
    EXPECT_THAT(RunInFakeLoop(Transfer({.max_octets_per_receive = each}, 1000, got, receives)),
                IsOk());
    EXPECT_EQ(got, std::string(1000, 'x'));
    EXPECT_EQ(receives, (1000 + each - 1) / each);
  }
}

TEST(MemoryStream, ASmallWindowStillLetsEverythingThrough) {
  std::string got;
  size_t receives = 0;
  EXPECT_THAT(RunInFakeLoop(Transfer({.window_octets = 3}, 1000, got, receives)), IsOk());
  EXPECT_EQ(got.size(), 1000u);
  EXPECT_EQ(receives, 334u);
}

Task<absl::Status> FillTheWindow(absl::Status& sent) {
  auto [left, right] = MakeMemoryStreams({.window_octets = 10});
  CO_RETURN_IF_ERROR(co_await left->Send("0123456789", Deadline::Never()));
  sent = co_await left->Send("x", Loop::Current().After(absl::Minutes(5)));
  co_return absl::OkStatus();
}

TEST(MemoryStream, AFullWindowHoldsTheSenderUntilItsDeadline) {
  FakeLoop fake;
  absl::Status sent;
  EXPECT_THAT(fake.Run(FillTheWindow(sent)), IsOk());
  EXPECT_THAT(sent, StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(fake.elapsed(), absl::Minutes(5));
}

struct Faults {
  std::string before;
  absl::Status received;
  absl::Status sent;
  bool ended = false;
  absl::Status sent_to_the_dead;
};

Task<absl::Status> TryFaults(Faults& seen) {
  auto [left, right] = MakeMemoryStreams();
  right->FailReceiveAfter(3, absl::DataLossError("on purpose"));
  left->FailSendAfter(5, Unavailable("broken"));
  seen.sent = co_await left->Send("abcdefgh", Deadline::Never());
  CO_ASSIGN_OR_RETURN(const std::string_view bytes, co_await right->Receive(Deadline::Never()));
  seen.before = bytes;
  right->Consume(bytes.size());
  seen.received = (co_await right->Receive(Deadline::Never())).status();
  auto [a, b] = MakeMemoryStreams();
  a->Close();
  CO_ASSIGN_OR_RETURN(const std::string_view end, co_await b->Receive(Deadline::Never()));
  seen.ended = end.empty();
  a.reset();
  seen.sent_to_the_dead = co_await b->Send("x", Deadline::Never());
  co_return absl::OkStatus();
}

TEST(MemoryStream, BreaksWhereItIsToldAndEndsWhenClosed) {
  Faults seen;
  EXPECT_THAT(RunInFakeLoop(TryFaults(seen)), IsOk());
  EXPECT_EQ(seen.before, "abc");
  EXPECT_THAT(seen.received, StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(seen.sent, StatusIs(absl::StatusCode::kUnavailable, ::testing::HasSubstr("broken")));
  EXPECT_TRUE(seen.ended);
  EXPECT_THAT(seen.sent_to_the_dead, StatusIs(absl::StatusCode::kUnavailable));
}

Task<absl::Status> PlayBoth(ScriptedPeer& client, ScriptedPeer& server) {
  auto [left, right] = MakeMemoryStreams({.max_octets_per_receive = 1});
  server.Does([&right] { right.reset(); });
  io::TaskScope scope;
  scope.Spawn(client.Play(*left, Deadline::Never()));
  scope.Spawn(server.Play(*right, Deadline::Never()));
  co_return co_await scope.JoinOrCancel();
}

TEST(ScriptedPeer, TwoScriptsThatFitEachOtherBothEnd) {
  ScriptedPeer client;
  client.Expects("220 ");
  client.Says("EHLO client.example");
  client.ExpectsReply("250 HELP");
  client.Says("QUIT");
  client.ExpectsClose();
  ScriptedPeer server;
  server.Says("220 here");
  server.Expects("EHLO");
  server.SaysRaw("250-SIZE 1\r\n250 HELP\r\n");
  server.Waits(absl::Minutes(1));
  server.ExpectsUntil("QUIT");
  EXPECT_THAT(RunInFakeLoop(PlayBoth(client, server)), IsOk());
  EXPECT_EQ(server.heard(), "EHLO client.example\r\nQUIT\r\n");
}

TEST(ScriptedPeer, WhatDiffersFailsTheTestWithBothTexts) {
  EXPECT_NONFATAL_FAILURE(
      {
        ScriptedPeer client;
        client.ExpectsReply("250 2.1.0");
        ScriptedPeer server;
        server.SaysRaw("250-2.1.0\r\n451 no\r\n");
        IgnoreStatus(RunInFakeLoop(PlayBoth(client, server)), "reported");
      },
      "expected 250 2.1.0, heard 451 no");
}

TEST(FrameSize, IsThatOfTheTaskMadeLast) {
  const size_t octets = PrintFrameSize("a sleep", SleepOnTheLoop(absl::Seconds(1)));
  EXPECT_GT(octets, 100u);
  EXPECT_LT(octets, 2000u);
}

}  // namespace
}  // namespace postern::test
