#include "daemons/qmgr/scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/daemons/qmgr/scheduler/harness.h"

namespace postern::qmgr {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

TEST(Scheduler, GivesOutWhatWasAdded) {
  Harness h;
  h.scheduler.Add(7, "a@x", {{.destination = "b.example", .recipients = {3, 5, 8}}}, 2, 0, h.now);
  const auto job = h.Next();
  ASSERT_TRUE(job.has_value());
  EXPECT_EQ(job->message_id, 7u);
  EXPECT_EQ(job->route, Route::kRemote);
  EXPECT_EQ(job->destination, "b.example");
  EXPECT_EQ(job->attempts, 2u);
  EXPECT_THAT(job->recipients, ElementsAre(3, 5, 8));
  EXPECT_FALSE(h.Next().has_value());
  EXPECT_TRUE(h.scheduler.Look(7)->with_worker);
  const auto done = h.Delivered(*job);
  EXPECT_TRUE(done.known);
  EXPECT_TRUE(done.finished);
  EXPECT_EQ(done.attempts, 3u);
  EXPECT_FALSE(h.scheduler.Look(7)->with_worker);
}

TEST(Scheduler, RoutesHaveTheirOwnTurns) {
  Harness h;
  h.scheduler.Add(1, "a",
                  {{.route = Route::kLocal, .destination = "x", .recipients = {0}},
                   {.route = Route::kRemote, .destination = "x", .recipients = {1}}},
                  0, 0, h.now);
  EXPECT_THAT(h.Next(Route::kLocal)->recipients, ElementsAre(0));
  EXPECT_FALSE(h.Next(Route::kLocal).has_value());
  EXPECT_THAT(h.Next(Route::kRemote)->recipients, ElementsAre(1));
}

TEST(Scheduler, SplitsRecipientsAtTheLimitOfAUnit) {
  for (const size_t count : {1u, 2u, 3u, 99u, 100u, 101u, 200u, 201u}) {
    SCOPED_TRACE(count);
    Harness h({.max_window = 20, .initial_window = 20});
    std::vector<uint32_t> recipients(count);
    std::iota(recipients.begin(), recipients.end(), 0u);
    h.scheduler.Add(1, "a", {{.destination = "x", .recipients = recipients}}, 0, 0, h.now);
    std::vector<uint32_t> given;
    size_t jobs = 0;
    for (const Job& job : h.Drain()) {
      ++jobs;
      EXPECT_LE(job.recipients.size(), Scheduler::kMaxRecipientsPerUnit);
      given.insert(given.end(), job.recipients.begin(), job.recipients.end());
    }
    EXPECT_EQ(jobs, (count + 99) / 100);
    EXPECT_EQ(given, recipients);
  }
}

TEST(Scheduler, SendersTakeTurnsAtOneDestination) {
  Harness h({.max_window = 1, .initial_window = 1});
  for (uint64_t id = 1; id <= 50'000; ++id) h.Add(id, "bulk", "x");
  h.Add(60'000, "ann", "x");
  h.Add(60'001, "bob", "x");
  h.Add(60'002, "ann", "x");
  std::vector<uint64_t> order;
  for (int i = 0; i < 6; ++i) {
    const auto job = h.Next();
    order.push_back(job->message_id);
    h.Delivered(*job);
  }
  EXPECT_THAT(order, ElementsAre(1, 60'000, 60'001, 2, 60'002, 3));
}

// A bulk sender with a destination for each message has one turn as anybody has.
TEST(Scheduler, ManyDestinationsDoNotGiveASenderMoreTurns) {
  Harness h;
  for (uint64_t id = 1; id <= 50'000; ++id) h.Add(id, "bulk", "d" + std::to_string(id));
  h.Add(60'000, "ann", "y");
  EXPECT_EQ(h.Next()->message_id, 1u);
  EXPECT_EQ(h.Next()->message_id, 60'000u);
}

TEST(Scheduler, NobodyStarves) {
  Harness h({.max_window = 3, .initial_window = 3});
  uint64_t id = 0;
  for (int sender = 0; sender < 10; ++sender) {
    for (int i = 0; i < 1 + sender * 30; ++i) {
      h.Add(++id, "s" + std::to_string(sender), "d" + std::to_string(i % 4));
    }
  }
  // The sender with one message is served within one round of those who want its destination.
  h.Add(5000, "late", "d1");
  size_t before = 0;
  for (;;) {
    const auto job = h.Next();
    ASSERT_TRUE(job.has_value());
    if (job->message_id == 5000) break;
    before += job->destination == "d1" ? 1 : 0;
    h.Delivered(*job);
  }
  EXPECT_LE(before, 10u);
}

TEST(Scheduler, FreshMailGoesBeforeRetriedMailOfTheSameSender) {
  Harness h({.max_window = 1, .initial_window = 1});
  for (uint64_t id = 1; id <= 10; ++id) h.Add(id, "a", "x", 3);
  for (uint64_t id = 11; id <= 20; ++id) h.Add(id, "a", "x");
  std::vector<uint64_t> order;
  for (int i = 0; i < 8; ++i) {
    const auto job = h.Next();
    order.push_back(job->message_id);
    h.Delivered(*job);
  }
  // But one in four is an old one.
  EXPECT_THAT(order, ElementsAre(11, 12, 13, 1, 14, 15, 16, 2));
}

TEST(Scheduler, MaxActiveLimitsWhatIsWithWorkers) {
  Harness h({.max_active = 3});
  for (uint64_t id = 1; id <= 10; ++id) h.Add(id, "a", "d" + std::to_string(id));
  const auto jobs = h.Drain();
  EXPECT_THAT(jobs, SizeIs(3));
  h.Delivered(jobs[0]);
  EXPECT_THAT(h.Drain(), SizeIs(1));
}

TEST(Scheduler, KeepsTheRestoredDueTime) {
  Harness h;
  h.Add(1, "a", "x", 4, h.now + kMinute);
  EXPECT_FALSE(h.Next().has_value());
  EXPECT_EQ(h.scheduler.NextWakeup(h.now), h.now + kMinute);
  h.now += kMinute - 1;
  EXPECT_FALSE(h.Next().has_value());
  h.now += 1;
  const auto job = h.Next();
  ASSERT_TRUE(job.has_value());
  EXPECT_EQ(job->attempts, 4u);
}

TEST(Scheduler, TheClockGoingBackIsAsIfItStoodStill) {
  Harness h;
  h.Add(1, "a", "x", 0, h.now + kMinute);
  h.now += kMinute;
  EXPECT_FALSE(h.scheduler.Next(Route::kLocal, h.now).has_value());
  EXPECT_TRUE(h.scheduler.Next(Route::kRemote, h.now - kHour).has_value());
}

TEST(Scheduler, RemovedMessagesAreNotGivenOut) {
  Harness h;
  h.Add(1, "a", "x");
  h.Add(2, "a", "x", 1, h.now + kMinute);
  h.Add(3, "a", "x");
  h.scheduler.Remove(1);
  h.scheduler.Remove(2);
  h.scheduler.Remove(99);
  EXPECT_EQ(h.Next()->message_id, 3u);
  EXPECT_FALSE(h.Next().has_value());
  EXPECT_EQ(h.scheduler.NextWakeup(h.now), std::nullopt);
  EXPECT_EQ(h.scheduler.Counts().messages, 1u);
}

TEST(Scheduler, AJobOfARemovedMessageKeepsItsPlaceUntilItEnds) {
  Harness h({.max_window = 1, .initial_window = 1});
  h.Add(1, "a", "x");
  const auto job = h.Next();
  h.scheduler.Remove(1);
  h.Add(2, "a", "x");
  EXPECT_FALSE(h.Next().has_value());
  EXPECT_FALSE(h.Deferred(*job).known);
  EXPECT_EQ(h.Next()->message_id, 2u);
  EXPECT_FALSE(h.Delivered(*job).known) << "a job ends once";
}

TEST(Scheduler, ABacklogOfDueMailBeyondOneCallIsAllGivenOut) {
  Harness h;
  const uint64_t count = 3 * Scheduler::kMaxWokenAtOnce + 1;
  for (uint64_t id = 1; id <= count; ++id)
    h.Add(id, "a", "d" + std::to_string(id % 4000), 1, h.now + kHour);
  h.now += kHour;
  uint64_t given = 0;
  for (auto job = h.Next(); job.has_value(); job = h.Next()) {
    ++given;
    h.Delivered(*job);
  }
  EXPECT_EQ(given, count);
}

TEST(Scheduler, ABacklogThatGoesElsewhereHidesNothing) {
  Harness h;
  for (uint64_t id = 1; id <= Scheduler::kMaxWokenAtOnce + 10; ++id) {
    h.scheduler.Add(id, "a", {{.route = Route::kLocal, .destination = "x", .recipients = {0}}}, 1,
                    h.now + kMinute, h.now);
  }
  h.Add(100'000, "a", "x", 1, h.now + kMinute + 1);
  h.now += kHour;
  ASSERT_TRUE(h.Next().has_value());
}

TEST(Scheduler, TheSameSeedGivesTheSameAnswers) {
  const auto run = [](uint64_t seed) {
    Harness h({.seed = seed});
    std::vector<int64_t> dues;
    for (uint64_t id = 1; id <= 50; ++id)
      h.Add(id, "s" + std::to_string(id % 7), "d" + std::to_string(id % 9));
    for (int i = 0; i < 20; ++i) {
      for (const Job& job : h.Drain()) {
        dues.push_back(static_cast<int64_t>(job.message_id));
        dues.push_back(
            h.Deferred(job, job.job_id % 3 == 0 ? Verdict::kBusy : Verdict::kHealthy).next_due_us);
      }
      h.now += kMinute;
    }
    return dues;
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

}  // namespace
}  // namespace postern::qmgr
