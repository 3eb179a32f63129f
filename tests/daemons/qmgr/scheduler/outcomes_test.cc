// Lost jobs, ages, holds and flushes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemons/qmgr/scheduler/harness.h"

namespace postern::qmgr {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<uint64_t> Ids(const std::vector<AgedMessage>& aged, AgedMessage::What what) {
  std::vector<uint64_t> ids;
  for (const AgedMessage& one : aged) {
    if (one.what == what) ids.push_back(one.message_id);
  }
  return ids;
}
constexpr auto kLate = AgedMessage::What::kLate;
constexpr auto kExpired = AgedMessage::What::kExpired;

TEST(JobDone, OnlyTheDeferredAreTriedAgain) {
  Harness h({.jitter = 0});
  h.scheduler.Add(1, "a", {{.destination = "x", .recipients = {4, 5, 6, 7}}}, 0, 0, h.now);
  const auto job = h.Next();
  const auto done = h.scheduler.JobDone(job->job_id, Verdict::kHealthy, "", {5, 7, 6}, h.now);
  EXPECT_FALSE(done.finished);
  EXPECT_EQ(done.next_due_us, h.now + 5 * kMinute);
  h.now = done.next_due_us;
  EXPECT_THAT(h.Next()->recipients, ElementsAre(5, 7, 6));
}

TEST(JobDone, IsFinishedWithTheLastUnit) {
  Harness h;
  h.scheduler.Add(
      1, "a", {{.destination = "x", .recipients = {0}}, {.destination = "y", .recipients = {1}}}, 0,
      0, h.now);
  const auto jobs = h.Drain();
  ASSERT_THAT(jobs, SizeIs(2));
  EXPECT_FALSE(h.Delivered(jobs[0]).finished);
  EXPECT_TRUE(h.Delivered(jobs[1]).finished);
}

TEST(JobLost, IsDueAgainAtOnceWithoutPenalty) {
  Harness h;
  h.Add(1, "a", "x");
  const auto job = h.Next();
  const auto before = h.View("x");
  EXPECT_FALSE(h.scheduler.JobLost(job->job_id, h.now));
  EXPECT_FALSE(h.scheduler.JobLost(job->job_id, h.now)) << "once";
  EXPECT_EQ(h.View("x").window, before.window);
  EXPECT_EQ(h.View("x").failures, 0u);
  const auto again = h.Next();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->attempts, 0u);
}

TEST(JobLost, ThreeTimesHoldsTheMessage) {
  Harness h;
  h.Add(1, "a", "x");
  EXPECT_FALSE(h.scheduler.JobLost(h.Next()->job_id, h.now));
  EXPECT_FALSE(h.scheduler.JobLost(h.Next()->job_id, h.now));
  EXPECT_TRUE(h.scheduler.JobLost(h.Next()->job_id, h.now));
  EXPECT_FALSE(h.Next().has_value());
  EXPECT_EQ(h.scheduler.Counts().held, 1u);
  EXPECT_TRUE(h.scheduler.Release(1, h.now));
  EXPECT_TRUE(h.Next().has_value());
}

TEST(JobLost, AResultInBetweenClearsTheCount) {
  Harness h;
  h.Add(1, "a", "x");
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(h.scheduler.JobLost(h.Next()->job_id, h.now));
    EXPECT_FALSE(h.scheduler.JobLost(h.Next()->job_id, h.now));
    h.now = h.Deferred(*h.Next()).next_due_us;
  }
}

// One message kills every worker that takes it; those that were with the same worker must not be
// held for it.
TEST(JobLost, TheInnocentAreNotHeldWithThePoison) {
  Harness h;
  constexpr uint64_t kPoison = 13;
  for (uint64_t id = 1; id <= 30; ++id) h.Add(id, "s", "d" + std::to_string(id % 6));
  std::vector<uint64_t> held;
  std::vector<uint64_t> delivered;
  for (int life = 0; life < 200 && (held.empty() || delivered.size() < 29); ++life) {
    const auto jobs = h.Drain();
    const bool dies = std::any_of(jobs.begin(), jobs.end(),
                                  [](const Job& job) { return job.message_id == kPoison; });
    for (const Job& job : jobs) {
      if (!dies) {
        delivered.push_back(job.message_id);
        h.Delivered(job);
      } else if (h.scheduler.JobLost(job.job_id, h.now)) {
        held.push_back(job.message_id);
      }
    }
  }
  EXPECT_THAT(held, ElementsAre(kPoison));
  EXPECT_THAT(delivered, SizeIs(29));
}

TEST(JobLost, OfARemovedMessageOnlyFreesItsPlace) {
  Harness h({.max_window = 1, .initial_window = 1});
  h.Add(1, "a", "x");
  h.Add(2, "a", "x");
  const auto job = h.Next();
  h.scheduler.Remove(1);
  EXPECT_FALSE(h.scheduler.JobLost(job->job_id, h.now));
  EXPECT_EQ(h.Next()->message_id, 2u);
}

TEST(Age, LateOnceThenExpired) {
  Harness h({.lifetime_us = 5 * kDay, .delay_notice_us = 4 * kHour});
  const int64_t born = h.now;
  h.Add(1, "a", "x", 1, h.now + 30 * kDay);
  EXPECT_EQ(h.scheduler.NextWakeup(h.now), born + 4 * kHour);
  h.now = born + 4 * kHour - 1;
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), IsEmpty());
  h.now += 1;
  EXPECT_THAT(Ids(h.scheduler.TakeAged(h.now, 10), kLate), ElementsAre(1));
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), IsEmpty());
  h.now = born + 5 * kDay - 1;
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), IsEmpty());
  h.now += 1;
  EXPECT_THAT(Ids(h.scheduler.TakeAged(h.now, 10), kExpired), ElementsAre(1));
  EXPECT_THAT(h.scheduler.TakeAged(h.now + kDay, 10), IsEmpty());
  h.now += 40 * kDay;
  EXPECT_FALSE(h.Next().has_value()) << "nothing of it is given out any more";
  EXPECT_EQ(h.scheduler.Flush(1, h.now), 0u);
}

TEST(Age, NullSenderMailHasItsOwnLifeAndNoDelayNotice) {
  Harness h({.lifetime_us = 5 * kDay, .bounce_lifetime_us = 2 * kDay, .delay_notice_us = kHour});
  h.Add(1, "", "x", 1, h.now + 30 * kDay, {.null_sender = true});
  h.Add(2, "a", "x", 1, h.now + 30 * kDay, {.delay_told = true});
  h.now += 2 * kDay;
  const auto aged = h.scheduler.TakeAged(h.now, 10);
  EXPECT_THAT(Ids(aged, kExpired), ElementsAre(1));
  EXPECT_THAT(Ids(aged, kLate), IsEmpty());
}

TEST(Age, ABounceLivesNoLongerThanOtherMail) {
  Harness h({.lifetime_us = kDay, .bounce_lifetime_us = 9 * kDay});
  h.Add(1, "", "x", 1, h.now + 30 * kDay, {.null_sender = true});
  EXPECT_THAT(h.scheduler.TakeAged(h.now + kDay, 10), SizeIs(1));
}

TEST(Age, AnExpiredMessageWithAJobIsToldAfterIt) {
  Harness h({.lifetime_us = kDay});
  h.Add(1, "a", "x");
  h.Add(2, "a", "y");
  h.Add(3, "a", "z");
  const auto jobs = h.Drain();
  ASSERT_THAT(jobs, SizeIs(3));
  h.now += kDay;
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), IsEmpty());
  EXPECT_EQ(h.Deferred(jobs[0]).next_due_us, 0);
  EXPECT_TRUE(h.Delivered(jobs[1]).finished);
  h.scheduler.JobLost(jobs[2].job_id, h.now);
  EXPECT_EQ(h.scheduler.NextWakeup(h.now), h.now);
  EXPECT_THAT(Ids(h.scheduler.TakeAged(h.now, 10), kExpired), ElementsAre(1, 3));
  EXPECT_FALSE(h.Next().has_value());
}

TEST(Age, TheLimitOfOneCallHolds) {
  Harness h({.lifetime_us = kDay});
  for (uint64_t id = 1; id <= 10; ++id) h.Add(id, "a", "x");
  h.now += kDay;
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 4), SizeIs(4));
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 4), SizeIs(4));
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 4), SizeIs(2));
}

// The wall clock may have jumped while the process was down.
TEST(Age, AJumpOfTheWallClockAtAStartNeitherExpiresUnseenNorKeepsForEver) {
  const int64_t kAges[] = {-kDay * 366, -kHour, 0, kHour, kDay, kDay * 366, INT64_MAX, INT64_MIN};
  for (const int64_t age : kAges) {
    SCOPED_TRACE(age);
    Harness h({.retry_first_us = 5 * kMinute, .lifetime_us = kDay});
    h.Add(1, "a", "x", 3, 0, {.age_us = age});
    EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), IsEmpty());
    const auto job = h.Next();
    ASSERT_TRUE(job.has_value()) << "it has one more attempt";
    h.now += kMinute;
    h.Deferred(*job);
    EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), IsEmpty());
    h.now += kDay;
    EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), SizeIs(1));
  }
}

// The monotonic clock itself after a suspended machine, an hour and a year on.
TEST(Age, ALongSleepLosesNothing) {
  for (const int64_t sleep : {kHour, 366 * kDay}) {
    Harness h({.lifetime_us = 5 * kDay});
    for (uint64_t id = 1; id <= 20; ++id)
      h.Add(id, "a", "d" + std::to_string(id), 1, h.now + kMinute);
    h.now += sleep;
    const size_t aged = h.scheduler.TakeAged(h.now, 100).size();
    EXPECT_EQ(aged + h.Drain().size(), 20u);
  }
}

TEST(Age, FollowsAReload) {
  SchedulerOptions options;
  Harness h(options);
  h.Add(1, "a", "x", 1, h.now + 30 * kDay);
  h.now += 2 * kDay;
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), IsEmpty());
  options.lifetime_us = kDay;
  h.scheduler.SetOptions(options);
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), SizeIs(1));
}

TEST(Hold, KeepsMessagesInEveryStateUntilReleased) {
  Harness h;
  h.Add(1, "a", "x");                      // in line
  h.Add(2, "a", "x", 1, h.now + kMinute);  // waiting
  h.Add(3, "a", "y");
  const auto job = h.Next();  // 1 with a worker
  ASSERT_EQ(job->message_id, 1u);
  for (uint64_t id = 1; id <= 3; ++id) EXPECT_TRUE(h.scheduler.Hold(id));
  EXPECT_FALSE(h.scheduler.Hold(1));
  EXPECT_FALSE(h.scheduler.Hold(9));
  h.Deferred(*job);
  h.now += kDay;
  EXPECT_FALSE(h.Next().has_value());
  EXPECT_EQ(h.scheduler.Counts().held, 3u);
  EXPECT_EQ(h.scheduler.Flush(1, h.now), 0u);
  for (uint64_t id = 1; id <= 3; ++id) EXPECT_TRUE(h.scheduler.Release(id, h.now));
  EXPECT_FALSE(h.scheduler.Release(1, h.now));
  EXPECT_FALSE(h.scheduler.Release(9, h.now));
  EXPECT_THAT(h.Drain(), SizeIs(3));
  EXPECT_EQ(h.scheduler.Counts().held, 0u);
}

TEST(Hold, AHeldMessageNeitherTurnsLateNorExpires) {
  Harness h({.retry_first_us = 5 * kMinute, .lifetime_us = kDay, .delay_notice_us = kHour});
  h.Add(1, "a", "x");
  h.scheduler.Hold(1);
  h.now += 30 * kDay;
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), IsEmpty());
  EXPECT_EQ(h.scheduler.NextWakeup(h.now), std::nullopt);
}

TEST(Hold, AnOldOneThatIsReleasedHasTheTimeForOneMoreAttempt) {
  Harness h({.retry_first_us = 5 * kMinute, .lifetime_us = kDay});
  h.Add(1, "a", "x");
  h.scheduler.Hold(1);
  h.now += 30 * kDay;
  EXPECT_TRUE(h.scheduler.Release(1, h.now));
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), IsEmpty());
  const auto job = h.Next();
  ASSERT_TRUE(job.has_value());
  h.Deferred(*job);
  h.now += 5 * kMinute;
  EXPECT_THAT(Ids(h.scheduler.TakeAged(h.now, 10), kExpired), ElementsAre(1));
}

TEST(Hold, AnExpiredOneThatWasHeldMeanwhileLivesOn) {
  Harness h({.lifetime_us = kDay});
  h.Add(1, "a", "x");
  h.now += kDay;
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), SizeIs(1));
  EXPECT_TRUE(h.scheduler.Look(1)->expired);
  EXPECT_TRUE(h.scheduler.Hold(1));
  EXPECT_TRUE(h.scheduler.Release(1, h.now));
  EXPECT_FALSE(h.scheduler.Look(1)->expired);
  EXPECT_TRUE(h.Next().has_value());
}

TEST(Age, OnlyRecipientsWithoutAJobAreLeft) {
  Harness h({.lifetime_us = kDay});
  h.scheduler.Add(
      1, "a",
      {{.destination = "x", .recipients = {0, 2}}, {.destination = "y", .recipients = {1, 3, 4}}},
      0, 0, h.now);
  const auto job = h.Next();
  ASSERT_EQ(job->destination, "x");
  EXPECT_THAT(h.scheduler.RecipientsLeft(1), ElementsAre(1, 3, 4));
  h.Deferred(*job);
  EXPECT_THAT(h.scheduler.RecipientsLeft(1), ElementsAre(0, 2, 1, 3, 4));
  EXPECT_THAT(h.scheduler.RecipientsLeft(9), IsEmpty());
  EXPECT_THAT(h.scheduler.TakeLeft(9), IsEmpty());
  EXPECT_THAT(h.scheduler.TakeLeft(1), ElementsAre(0, 2, 1, 3, 4));
  EXPECT_THAT(h.scheduler.RecipientsLeft(1), IsEmpty());
  EXPECT_EQ(h.scheduler.Counts().messages, 1u);
  h.now += kDay;
  EXPECT_FALSE(h.Next().has_value());
  EXPECT_THAT(h.scheduler.TakeAged(h.now, 10), IsEmpty());
}

TEST(Hold, ARemovedOneIsNotCounted) {
  Harness h;
  h.Add(1, "a", "x");
  h.scheduler.Hold(1);
  h.scheduler.Remove(1);
  EXPECT_EQ(h.scheduler.Counts().held, 0u);
}

TEST(Flush, OneMessageGoesAtOnceEvenToADeadDestination) {
  Harness h;
  h.Add(1, "a", "x");
  h.Deferred(*h.Next(), Verdict::kUnreachable);
  EXPECT_FALSE(h.Next().has_value());
  EXPECT_EQ(h.scheduler.Flush(1, h.now), 1u);
  EXPECT_TRUE(h.Next().has_value());
  EXPECT_EQ(h.scheduler.Flush(9, h.now), 0u);
}

TEST(Flush, ADestinationLeavesTheOthersAlone) {
  Harness h({.max_window = 20, .initial_window = 20});
  for (uint64_t id = 1; id <= 5; ++id) h.Add(id, "a", "x", 1, h.now + kHour);
  h.Add(6, "a", "y", 1, h.now + kHour);
  EXPECT_EQ(h.scheduler.FlushDestination("x", h.now), 5u);
  EXPECT_EQ(h.scheduler.FlushDestination("z", h.now), 0u);
  EXPECT_THAT(h.Drain(), SizeIs(5));
}

// 250 recipients of one message are three units, and a dead host keeps what is due as well.
TEST(Flush, ADestinationCountsMessagesWhateverTheirUnits) {
  Harness h({.max_window = 20, .initial_window = 20});
  std::vector<uint32_t> many(250);
  for (uint32_t i = 0; i < many.size(); ++i) many[i] = i;
  h.scheduler.Add(1, "a", {{.destination = "x", .recipients = many}}, 1, h.now + kHour, h.now);
  h.Add(2, "b", "x", 1, h.now + kHour);
  h.Add(3, "c", "x");
  h.Add(4, "d", "x");
  EXPECT_EQ(h.scheduler.Counts().deferred, 2u);
  h.Deferred(*h.Next(), Verdict::kUnreachable);
  EXPECT_FALSE(h.Next().has_value());
  EXPECT_EQ(h.scheduler.FlushDestination("x", h.now), 4u);
  EXPECT_EQ(h.scheduler.Counts().deferred, 0u);
}

TEST(Flush, AllOfIt) {
  Harness h;
  for (uint64_t id = 1; id <= 9; ++id) h.Add(id, "a", "d" + std::to_string(id), 1, h.now + kHour);
  h.scheduler.Hold(9);
  EXPECT_EQ(h.scheduler.FlushAll(h.now), 8u);
  EXPECT_THAT(h.Drain(), SizeIs(8));
}

// A flush and a failure within the same microsecond must not make a loop of attempts.
TEST(Flush, AFailureRightAfterItBlocksAgain) {
  Harness h;
  for (uint64_t id = 1; id <= 9; ++id) h.Add(id, "a", "x");
  for (const Job& job : h.Drain()) h.Deferred(job, Verdict::kUnreachable);
  h.scheduler.FlushDestination("x", h.now);
  const auto probe = h.Drain();
  ASSERT_THAT(probe, SizeIs(1));
  h.Deferred(probe[0], Verdict::kUnreachable);
  EXPECT_FALSE(h.Next().has_value());
}

}  // namespace
}  // namespace postern::qmgr
