// Notices, delays and the end of a message's time.
#include "tests/daemons/qmgr/rig.h"

namespace postern::qmgr {
namespace {

using protocol::notice::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Deferred until it expires, or five days are over.
io::Task<void> DeferToTheEnd(Rig& rig) {
  for (int i = 0; i < 24 * 5 * 12 && !rig.queue.messages().empty(); ++i) {
    if (const auto job = rig.Next(); job.has_value()) rig.Finish(*job, Outcome::kDeferred);
    co_await rig.Wait(absl::Minutes(5));
  }
}

TEST(Telling, AFailedRecipientIsDoneWhenItsNoticeIsInTheQueue) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    rig.bounced_away = true;
    rig.Finish(*rig.Next(), Outcome::kFailed);
    co_await rig.Wait(absl::Minutes(2));
    EXPECT_GT(rig.refused_notices, 10u);
    EXPECT_TRUE(rig.queue.Knows(1)) << "its sender has not been told";
    EXPECT_EQ(log.Count("message.bounced"), 0u);
    EXPECT_FALSE(rig.Next().has_value());
    rig.bounced_away = false;
    co_await rig.Wait(absl::Seconds(6));
    EXPECT_THAT(rig.Told(Kind::kFailure), ElementsAre("a@example.net"));
    EXPECT_FALSE(rig.queue.Knows(1));
    EXPECT_EQ(log.Count("message.bounced id=0000000000001"), 1u);
    co_return co_await rig.Stop();
  });
}

TEST(Telling, ACrashBeforeTheNoticeTriesTheRecipientAgain) {
  test::FakeLoop clock;
  Rig rig(clock);
  RunRig(rig, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net", "b@example.net"}));
    rig.bounced_away = true;
    rig.queue.Finish(*rig.Next(),
                     {Rig::ResultFor(0, Outcome::kFailed), Rig::ResultFor(1, Outcome::kDelivered)},
                     Verdict::kHealthy, "");
    co_await rig.Wait(absl::Seconds(30));
    co_return co_await rig.Stop();
  });
  test::FakeLoop later;
  Rig after(later, rig.disk->AfterPowerCut(0));
  RunRig(after, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    const auto job = rig.Next();
    EXPECT_TRUE(job.has_value());
    if (job.has_value()) EXPECT_THAT(job->recipients, ElementsAre(0));
    co_return co_await rig.Stop();
  });
}

TEST(Telling, NullSenderMailIsNeverBounced) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.Accept(1, RecordTo({"a@example.net"}, "")));
    rig.Finish(*rig.Next(), Outcome::kFailed);
    co_await rig.Wait(absl::Seconds(1));
    EXPECT_THAT(rig.notices, IsEmpty());
    EXPECT_FALSE(rig.queue.Knows(1));
    EXPECT_EQ(log.Count("notice.double id=0000000000001"), 1u);
    co_return co_await rig.Stop();
  });
}

TEST(Telling, SuccessIsToldToWhoAskedAndTheDeliveryIsOnDiskBefore) {
  test::FakeLoop clock;
  Rig rig(clock);
  RunRig(rig, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    MessageRecord record = RecordTo({"alice@example.org", "bob@example.org"});
    record.recipients[0].notify = protocol::kNotifySuccess;
    CO_RETURN_IF_ERROR(co_await rig.Accept(1, record));
    rig.bounced_away = true;
    for (auto job = rig.Next(Route::kLocal); job.has_value(); job = rig.Next(Route::kLocal))
      rig.Finish(*job, Outcome::kDelivered);
    co_await rig.Wait(absl::Seconds(1));
    EXPECT_TRUE(rig.queue.Knows(1));
    co_return co_await rig.Stop();
  });
  test::FakeLoop later;
  Rig after(later, rig.disk->AfterPowerCut(0));
  RunRig(after, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    EXPECT_FALSE(rig.Next(Route::kLocal).has_value()) << "nobody gets it twice";
    EXPECT_THAT(rig.queue.messages(), IsEmpty());
    co_return co_await rig.Stop();
  });
}

TEST(Telling, ADelayIsToldOnceOfAllThatIsLeft) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@x.example", "b@y.example", "c@z.example"}));
    rig.Finish(*rig.Next(), Outcome::kDelivered);
    for (int i = 0; i < 36; ++i) {
      for (auto job = rig.Next(); job.has_value(); job = rig.Next())
        rig.Finish(*job, Outcome::kDeferred);
      co_await rig.Wait(absl::Minutes(5));
    }
    EXPECT_THAT(rig.Told(Kind::kDelay), ElementsAre("b@y.example", "c@z.example"));
    EXPECT_THAT(rig.Told(Kind::kFailure), IsEmpty());
    if (rig.notices.size() == 1) {
      // The words of the last attempt, which was for one of the two.
      EXPECT_THAT(rig.notices[0].recipients[0].diagnostic + rig.notices[0].recipients[1].diagnostic,
                  HasSubstr("450 come again"));
    }
    co_return co_await rig.Stop();
  });
}

TEST(Telling, ADelayIsNotToldAgainAfterARestart) {
  test::FakeLoop clock;
  Rig rig(clock);
  RunRig(rig, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@x.example"}));
    rig.Finish(*rig.Next(), Outcome::kDeferred);
    co_await rig.Wait(absl::Hours(2));
    co_await rig.Wait(absl::Seconds(1));
    EXPECT_THAT(rig.Told(Kind::kDelay), SizeIs(1));
    co_return co_await rig.Stop();
  });
  test::FakeLoop later;
  later.Advance(absl::Hours(3));
  Rig after(later, rig.disk->AfterPowerCut(0));
  RunRig(after, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    co_await rig.Wait(absl::Hours(2));
    co_await rig.Wait(absl::Seconds(1));
    EXPECT_THAT(rig.notices, IsEmpty());
    co_return co_await rig.Stop();
  });
}

TEST(Telling, AtTheEndOfItsTimeAMessageIsReturnedWithTheLastWords) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    rig.settings.queue.delay_notice = absl::ZeroDuration();
    rig.queue.OnSettings(rig.settings);
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    const io::Deadline began = rig.queue.loop().Now();
    co_await DeferToTheEnd(rig);
    const absl::Duration took = rig.queue.loop().Now() - began;
    EXPECT_GE(took, absl::Hours(24));
    EXPECT_LE(took, absl::Hours(24) + absl::Minutes(10));
    EXPECT_THAT(rig.Told(Kind::kFailure), ElementsAre("a@example.net"));
    EXPECT_EQ(log.Count("message.expired id=0000000000001"), 1u);
    EXPECT_EQ(log.Count("message.bounced id=0000000000001"), 1u);
    if (!rig.notices.empty()) {
      EXPECT_EQ(rig.notices[0].recipients[0].status, "4.4.7");
      EXPECT_THAT(rig.notices[0].recipients[0].diagnostic, HasSubstr("450 come again"));
    }
    co_return co_await rig.Stop();
  });
}

TEST(Telling, NullSenderMailHasALifeOfItsOwn) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.Accept(1, RecordTo({"a@example.net"}, "")));
    const io::Deadline began = rig.queue.loop().Now();
    co_await DeferToTheEnd(rig);
    EXPECT_LE(rig.queue.loop().Now() - began, absl::Hours(12) + absl::Minutes(10));
    EXPECT_THAT(rig.notices, IsEmpty());
    co_return co_await rig.Stop();
  });
}

TEST(Age, TheWallClockSetAYearOnExpiresNothing) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    rig.clock.JumpWall(absl::Hours(24 * 366));
    rig.Finish(*rig.Next(), Outcome::kDeferred);
    co_await rig.Wait(absl::Minutes(2));
    EXPECT_THAT(rig.notices, IsEmpty());
    const auto again = rig.Next();
    EXPECT_TRUE(again.has_value()) << "its retry is when it was to be";
    if (again.has_value()) rig.Finish(*again, Outcome::kDelivered);
    EXPECT_FALSE(rig.queue.Knows(1));
    co_return co_await rig.Stop();
  });
}

TEST(Age, TheWallClockSetAYearBackKeepsNothingForEver) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    rig.clock.JumpWall(-absl::Hours(24 * 366));
    const io::Deadline began = rig.queue.loop().Now();
    co_await DeferToTheEnd(rig);
    EXPECT_LE(rig.queue.loop().Now() - began, absl::Hours(24) + absl::Minutes(10));
    EXPECT_THAT(rig.Told(Kind::kFailure), ElementsAre("a@example.net"));
    co_return co_await rig.Stop();
  });
}

// What a start makes of the arrival it reads: how old, in hours of the wall clock.
absl::Duration LifeAfterAStart(absl::Duration age) {
  test::FakeLoop clock;
  Rig rig(clock);
  RunRig(rig, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    co_return co_await rig.Stop();
  });
  test::FakeLoop later;
  later.JumpWall(age);
  Rig after(later, rig.disk->AfterPowerCut(0));
  RunRig(after, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    co_await DeferToTheEnd(rig);
    EXPECT_THAT(rig.Told(Kind::kFailure), SizeIs(1));
    co_return co_await rig.Stop();
  });
  return later.elapsed();
}

TEST(Age, AStartCountsTheTimeItWasAwayAndNeverLessThanNothing) {
  EXPECT_NEAR(absl::ToDoubleHours(LifeAfterAStart(absl::ZeroDuration())), 24, 0.3);
  EXPECT_NEAR(absl::ToDoubleHours(LifeAfterAStart(absl::Hours(20))), 4, 0.3);
  EXPECT_NEAR(absl::ToDoubleHours(LifeAfterAStart(-absl::Hours(24 * 400))), 24, 0.3);
  // Too old, or so it seems: the time for one more attempt, a minute here.
  const absl::Duration grace = LifeAfterAStart(absl::Hours(24 * 366));
  EXPECT_GE(grace, absl::Minutes(1));
  EXPECT_LE(grace, absl::Minutes(11));
}

TEST(Telling, ThousandsOfOldMessagesAreReadAFewAtATime) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    rig.settings.queue.delay_notice = absl::ZeroDuration();
    rig.queue.OnSettings(rig.settings);
    for (uint64_t id = 1; id <= 2500; ++id)
      CO_RETURN_IF_ERROR(co_await rig.AcceptTo(id, {"a@example.net"}));
    co_await rig.Wait(absl::Hours(24));
    for (int i = 0; i < 4; ++i) co_await rig.Wait(absl::Minutes(1));
    EXPECT_THAT(rig.Told(Kind::kFailure), SizeIs(2500));
    EXPECT_EQ(rig.most_under_way, Queue::kMaxTelling);
    EXPECT_THAT(rig.queue.messages(), IsEmpty());
    co_return co_await rig.Stop();
  });
}

TEST(Telling, AHeldMessageNeitherExpiresNorIsItToldOf) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    EXPECT_TRUE(rig.queue.Hold(1, "", {}));
    co_await rig.Wait(absl::Hours(24 * 30));
    EXPECT_THAT(rig.notices, IsEmpty());
    EXPECT_TRUE(rig.queue.Release(1, "", {}));
    const auto job = rig.Next();
    EXPECT_TRUE(job.has_value()) << "one more attempt";
    if (job.has_value()) rig.Finish(*job, Outcome::kDelivered);
    co_await rig.Wait(absl::Seconds(1));
    EXPECT_FALSE(rig.queue.Knows(1));
    EXPECT_THAT(rig.notices, IsEmpty());
    co_return co_await rig.Stop();
  });
}

TEST(Telling, WhatIsDeletedWhileItsNoticeWaitsIsToldToNobody) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    rig.bounced_away = true;
    rig.Finish(*rig.Next(), Outcome::kFailed);
    co_await rig.Wait(absl::Seconds(1));
    EXPECT_TRUE(rig.queue.Delete(1, "", {}));
    rig.bounced_away = false;
    co_await rig.Wait(absl::Minutes(1));
    EXPECT_THAT(rig.notices, IsEmpty());
    EXPECT_FALSE(rig.queue.Knows(1));
    co_return co_await rig.Stop();
  });
}

}  // namespace
}  // namespace postern::qmgr
