// Windows, dead hosts, pace and shares of the workers' room.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/daemons/qmgr/scheduler/harness.h"

namespace postern::qmgr {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

void Fill(Harness& h, const std::string& destination, uint64_t first, uint64_t count) {
  for (uint64_t id = first; id < first + count; ++id) h.Add(id, "s", destination);
}

TEST(Window, StartsAtTheInitialOneAndGrowsToTheLargest) {
  Harness h({.max_window = 8, .initial_window = 3});
  Fill(h, "x", 1, 500);
  std::vector<Job> jobs = h.Drain();
  EXPECT_THAT(jobs, SizeIs(3));
  size_t most = 0;
  for (int round = 0; round < 40; ++round) {
    for (const Job& job : jobs) h.Delivered(job);
    const size_t last = jobs.size();
    jobs = h.Drain();
    EXPECT_GE(jobs.size(), last);
    EXPECT_LE(jobs.size(), last + 2) << "it grows by about one a round";
    most = std::max(most, jobs.size());
    if (most == 8) break;
  }
  EXPECT_EQ(most, 8u);
  for (const Job& job : jobs) h.Delivered(job);
  EXPECT_THAT(h.Drain(), SizeIs(8)) << "and not beyond";
}

TEST(Window, AnInitialOneAboveTheLargestIsCut) {
  Harness h({.max_window = 2, .initial_window = 9});
  Fill(h, "x", 1, 10);
  EXPECT_THAT(h.Drain(), SizeIs(2));
}

TEST(Window, NoneIsSmallerThanOne) {
  Harness h({.max_window = 0, .initial_window = 0});
  Fill(h, "x", 1, 10);
  EXPECT_THAT(h.Drain(), SizeIs(1));
}

TEST(Window, HalvesOnceForABusyRound) {
  Harness h({.max_window = 20, .initial_window = 8, .jitter = 0});
  Fill(h, "x", 1, 100);
  const auto jobs = h.Drain();
  h.now += kSecond;
  for (const Job& job : jobs) h.Deferred(job, Verdict::kBusy);
  EXPECT_EQ(h.View("x").window, 4u);
  EXPECT_EQ(h.View("x").last_error, "451 later");
}

TEST(Window, FollowsAReloadedLimit) {
  SchedulerOptions options{.max_window = 2, .initial_window = 2};
  Harness h(options);
  Fill(h, "x", 1, 50);
  auto jobs = h.Drain();
  options.max_window = 1;
  h.scheduler.SetOptions(options);
  h.Delivered(jobs[0]);
  EXPECT_THAT(h.Drain(), SizeIs(0));
  h.Delivered(jobs[1]);
  jobs = h.Drain();
  EXPECT_THAT(jobs, SizeIs(1));
  options.max_window = 10;
  h.scheduler.SetOptions(options);
  h.Delivered(jobs[0]);
  EXPECT_GE(h.Drain().size(), 2u);
}

TEST(Pace, ABusyDestinationGetsOneUnitAtATimeApart) {
  Harness h({.pace_first_us = kSecond, .pace_longest_us = 4 * kSecond});
  Fill(h, "x", 1, 100);
  int64_t expected = kSecond;
  for (const Job& job : h.Drain()) h.Deferred(job, Verdict::kBusy);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(h.View("x").pace_us, expected);
    EXPECT_FALSE(h.Next().has_value());
    h.now = h.View("x").blocked_until_us - 1;
    EXPECT_FALSE(h.Next().has_value());
    h.now += 1;
    const auto job = h.Next();
    ASSERT_TRUE(job.has_value());
    EXPECT_FALSE(h.Next().has_value()) << "one, then a pause";
    h.now += 1000;
    h.Deferred(*job, Verdict::kBusy);
    expected = std::min(expected * 2, 4 * kSecond);
  }
  // Success brings the pace back to none.
  for (int i = 0; i < 8; ++i) {
    h.now += kMinute;
    for (const Job& job : h.Drain()) h.Delivered(job);
  }
  EXPECT_EQ(h.View("x").pace_us, 0);
}

TEST(DeadHost, IsProbedWithOneUnitAfterABackOffThatDoubles) {
  Harness h({.retry_first_us = 10 * kSecond, .retry_longest_us = 60 * kSecond, .jitter = 0});
  Fill(h, "dead", 1, 100);
  auto jobs = h.Drain();
  EXPECT_THAT(jobs, SizeIs(5));
  for (const Job& job : jobs) h.Deferred(job, Verdict::kUnreachable);
  EXPECT_EQ(h.View("dead").failures, 1u) << "those that were on their way count once";
  const int64_t kWaits[] = {10, 20, 40, 60, 60, 60};
  for (const int64_t wait : kWaits) {
    SCOPED_TRACE(wait);
    const int64_t due = h.View("dead").blocked_until_us;
    EXPECT_EQ(due - h.now, wait * kSecond);
    h.now = due - 1;
    EXPECT_FALSE(h.Next().has_value());
    h.now = due;
    jobs = h.Drain();
    ASSERT_THAT(jobs, SizeIs(1)) << "half open: one finds out";
    h.now += 30 * kSecond;
    h.Deferred(jobs[0], Verdict::kUnreachable);
  }
}

TEST(DeadHost, GoesDownOnceAndComesBackOnce) {
  using Change = Scheduler::Change;
  Harness h({.jitter = 0});
  Fill(h, "dead", 1, 100);
  std::vector<Change> changes;
  for (const Job& job : h.Drain()) changes.push_back(h.Deferred(job, Verdict::kUnreachable).change);
  h.now = h.View("dead").blocked_until_us;
  changes.push_back(h.Deferred(*h.Next(), Verdict::kUnreachable).change);
  h.now = h.View("dead").blocked_until_us;
  changes.push_back(h.Deferred(*h.Next(), Verdict::kBusy).change);
  h.now += kMinute;
  changes.push_back(h.Delivered(*h.Next()).change);
  EXPECT_THAT(changes, ElementsAre(Change::kDown, Change::kNone, Change::kNone, Change::kNone,
                                   Change::kNone, Change::kNone, Change::kBack, Change::kNone));
}

TEST(DeadHost, OpensAgainWhenTheProbeArrives) {
  Harness h({.jitter = 0});
  Fill(h, "dead", 1, 100);
  for (const Job& job : h.Drain()) h.Deferred(job, Verdict::kUnreachable);
  h.now = h.View("dead").blocked_until_us;
  auto jobs = h.Drain();
  ASSERT_THAT(jobs, SizeIs(1));
  h.Delivered(jobs[0]);
  EXPECT_EQ(h.View("dead").failures, 0u);
  size_t last = 0;
  for (int round = 0; round < 3; ++round) {
    jobs = h.Drain();
    EXPECT_GT(jobs.size(), last) << "the window opens step by step";
    last = jobs.size();
    for (const Job& job : jobs) h.Delivered(job);
  }
}

TEST(DeadHost, IsRememberedWithoutMailForIt) {
  Harness h({.jitter = 0});
  h.Add(1, "a", "dead");
  h.Deferred(*h.Next(), Verdict::kUnreachable);
  h.scheduler.Remove(1);
  h.Add(2, "a", "dead");
  EXPECT_FALSE(h.Next().has_value());
  EXPECT_EQ(h.View("dead").failures, 1u);
}

TEST(DeadHost, MemoryOfIdleDestinationsIsBounded) {
  for (const uint32_t limit : {0u, 1u, 10u}) {
    Harness h({.max_idle_destinations = limit});
    for (uint64_t id = 1; id <= 100; ++id) {
      h.Add(id, "a", "dead" + std::to_string(id));
      h.Deferred(*h.Next(), Verdict::kUnreachable);
      h.scheduler.Remove(id);
      EXPECT_EQ(h.scheduler.Destinations(SIZE_MAX).size(), std::min<uint64_t>(id, limit));
    }
    EXPECT_EQ(h.View("dead100").failures, limit > 0 ? 1u : 0u) << "the youngest is kept";
  }
}

TEST(DeadHost, ErrorTextsAreCutAtTheLimit) {
  Harness h;
  h.Add(1, "a", "x");
  const std::string text(Scheduler::kMaxErrorText + 1, 'e');
  h.scheduler.JobDone(h.Next()->job_id, Verdict::kUnreachable, text, {0}, h.now);
  EXPECT_EQ(h.View("x").last_error.size(), Scheduler::kMaxErrorText);
}

TEST(BackOff, DoublesWithinTheJitterAndNeverPassesTheLongest) {
  const SchedulerOptions options{
      .retry_first_us = 5 * kMinute, .retry_longest_us = 4 * kHour, .jitter = 0.2};
  bool below = false;
  bool above = false;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SchedulerOptions seeded = options;
    seeded.seed = seed;
    Harness h(seeded);
    h.Add(1, "a", "x");
    for (uint32_t attempt = 1; attempt <= 100; ++attempt) {
      const auto done = h.Deferred(*h.Next());
      const double middle = std::min(5.0 * kMinute * std::exp2(attempt - 1), 4.0 * kHour);
      const auto wait = static_cast<double>(done.next_due_us - h.now);
      ASSERT_GE(wait, 0.8 * middle - 1) << "seed " << seed << " attempt " << attempt;
      ASSERT_LE(wait, std::min(1.2 * middle, 4.0 * kHour)) << "seed " << seed << " " << attempt;
      below = below || wait < 0.9 * middle;
      above = above || wait > 1.1 * middle;
      h.now = done.next_due_us;
    }
  }
  EXPECT_TRUE(below && above) << "there is jitter on both sides";
}

TEST(Room, ASlowDestinationDoesNotSlowAnother) {
  Harness h({.max_window = 20, .initial_window = 5});
  h.scheduler.SetCapacity(Route::kRemote, 40);
  // Proven but slow: 30 s a unit.
  Fill(h, "slow", 1, 1000);
  for (int i = 0; i < 20; ++i) {
    const auto jobs = h.Drain();
    h.now += 30 * kSecond;
    for (const Job& job : jobs) h.Delivered(job);
  }
  h.Drain();
  EXPECT_EQ(h.View("slow").in_flight, 20u);
  h.Add(5000, "s", "quick");
  EXPECT_EQ(h.Next()->message_id, 5000u);
}

TEST(Room, DeadDestinationsLeaveAHalfToTheOthersAndUnknownOnesAQuarter) {
  Harness h({.jitter = 0});
  h.scheduler.SetCapacity(Route::kRemote, 100);
  uint64_t id = 0;
  // A healthy destination, proven by one delivery.
  h.Add(++id, "ann", "good");
  h.Delivered(*h.Next());
  // Restored from before: retried mail to 1000 destinations.
  for (int i = 0; i < 1000; ++i)
    h.Add(++id, "s" + std::to_string(i), "dead" + std::to_string(i), 3);
  EXPECT_THAT(h.Drain(), SizeIs(50));
  // Fresh mail to destinations nobody knows yet.
  for (int i = 0; i < 1000; ++i) h.Add(++id, "s" + std::to_string(i), "new" + std::to_string(i));
  const auto fresh = h.Drain();
  EXPECT_THAT(fresh, SizeIs(25));
  h.Add(++id, "ann", "good");
  EXPECT_EQ(h.Next()->destination, "good");
  // What comes free is used again.
  h.Deferred(fresh[0], Verdict::kUnreachable);
  const auto next = h.Drain();
  ASSERT_THAT(next, SizeIs(1));
  EXPECT_EQ(next[0].destination.substr(0, 3), "new");
}

TEST(Room, AllIsUsedInTheEndEvenWithCapacityForOne) {
  Harness h({.jitter = 0});
  h.scheduler.SetCapacity(Route::kRemote, 1);
  for (uint64_t id = 1; id <= 200; ++id)
    h.Add(id, "s", "d" + std::to_string(id), id % 2 == 0 ? 0 : 2);
  size_t given = 0;
  for (auto job = h.Next(); job.has_value(); job = h.Next()) {
    ++given;
    EXPECT_FALSE(h.Next().has_value());
    h.Delivered(*job);
  }
  EXPECT_EQ(given, 200u);
}

TEST(Room, ManySlowDestinationsShareAHalf) {
  Harness h;
  constexpr int kSlow = 20;
  for (uint64_t id = 1; id <= 20 * kSlow; ++id) h.Add(id, "s", "slow" + std::to_string(id % kSlow));
  for (int round = 0; round < 2; ++round) {
    const auto jobs = h.Drain();
    h.now += 5 * kMinute;
    for (const Job& job : jobs) h.Delivered(job);
  }
  h.scheduler.SetCapacity(Route::kRemote, 100);
  EXPECT_THAT(h.Drain(), SizeIs(50));
}

TEST(Room, ADestinationThatProvesItselfWaitsForNoRoomAnyMore) {
  Harness h;
  h.scheduler.SetCapacity(Route::kRemote, 4);
  uint64_t id = 0;
  for (const char* name : {"d1", "d2", "d3", "d4", "d1", "d1"}) h.Add(++id, "s", name, 1);
  const auto jobs = h.Drain();
  ASSERT_THAT(jobs, SizeIs(2));
  ASSERT_EQ(jobs[0].destination, "d1");
  h.Delivered(jobs[0]);
  // The two others of d1, and d3 in the room that came free.
  EXPECT_THAT(h.Drain(), SizeIs(3));
}

TEST(Room, MailThatNeverEndsDoesNotKeepProbesFromGoing) {
  Harness h({.jitter = 0});
  h.scheduler.SetCapacity(Route::kRemote, 4);
  uint64_t id = 0;
  h.Add(++id, "bulk", "good");
  h.Delivered(*h.Next());
  for (int i = 0; i < 5; ++i) h.Add(++id, "t", "dead" + std::to_string(i), 1);
  const auto probes = h.Drain();
  ASSERT_THAT(probes, SizeIs(2));
  Fill(h, "good", 100, 1000);
  for (int i = 0; i < 5; ++i) {
    const auto job = h.Next();
    ASSERT_EQ(job->destination, "good");
    h.Delivered(*job);
  }
  h.Deferred(probes[0], Verdict::kUnreachable);
  bool probed = false;
  for (int i = 0; i < 5 && !probed; ++i) {
    const auto job = h.Next();
    probed = job->destination != "good";
    if (!probed) h.Delivered(*job);
  }
  EXPECT_TRUE(probed);
}

TEST(Room, GrowsWithNewWorkers) {
  Harness h;
  h.scheduler.SetCapacity(Route::kRemote, 4);
  for (uint64_t id = 1; id <= 200; ++id) h.Add(id, "s", "d" + std::to_string(id), 1);
  EXPECT_THAT(h.Drain(), SizeIs(2));
  h.scheduler.SetCapacity(Route::kRemote, 40);
  EXPECT_THAT(h.Drain(), SizeIs(18));
}

TEST(Destinations, TroubleComesFirstAndTheLimitHolds) {
  Harness h;
  Fill(h, "busy", 1, 30);
  h.Drain();
  h.Add(100, "a", "dead");
  h.Deferred(*h.Next(), Verdict::kUnreachable);
  h.Add(101, "a", "quiet", 1, h.now + kHour);
  const auto views = h.scheduler.Destinations(2);
  ASSERT_THAT(views, SizeIs(2));
  EXPECT_EQ(views[0].name, "dead");
  EXPECT_EQ(views[1].name, "busy");
  EXPECT_EQ(views[1].in_flight, 5u);
  EXPECT_EQ(views[1].waiting, 25u);
  EXPECT_EQ(views[1].queued, 30u);
}

}  // namespace
}  // namespace postern::qmgr
