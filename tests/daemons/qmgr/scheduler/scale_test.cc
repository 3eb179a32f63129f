// A million deferred messages: what they cost, and that no call looks through them.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdio>
#include <map>

#include "tests/daemons/qmgr/scheduler/harness.h"

namespace postern::qmgr {
namespace {

constexpr uint64_t kDead = 5000;  // destinations

size_t Allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Deferred messages to dead destinations.
class Deferred : public ::testing::Test {
 protected:
  void Fill(uint64_t messages) {
    const size_t before = Allocated();
    for (uint64_t id = 1; id <= messages; ++id) {
      h_.Add(id, "s" + std::to_string(id % 10'000),
             "dead" + std::to_string(id % kDead) + ".example", 3,
             h_.now + static_cast<int64_t>(id % 14'400) * kSecond);
    }
    octets_ = static_cast<double>(Allocated() - before) / static_cast<double>(messages);
  }

  uint64_t StepsOf(auto&& call) {
    const uint64_t before = h_.scheduler.steps();
    call();
    return h_.scheduler.steps() - before;
  }

  // The way through heaps of a million with four children: ten levels down, ten up; three heaps.
  static constexpr uint64_t kFew = 60;

  Harness h_{{.lifetime_us = 5 * kDay, .delay_notice_us = 4 * kHour}};
  double octets_ = 0;  // allocated for each
};

TEST_F(Deferred, AMillionTakeTwoHundredOctetsEachAndNoCallLooksThroughThem) {
  constexpr uint64_t kMessages = 1'000'000;
  Fill(kMessages);
  const double counted = static_cast<double>(h_.scheduler.octets()) / kMessages;
  std::printf("%.1f octets a message allocated, %.1f counted\n", octets_, counted);
  EXPECT_LE(octets_, 200);  // 0 with sanitizers, which answer for malloc
  EXPECT_LE(counted, 200);

  // Half of them come due while every destination is dead.
  h_.now += 2 * kHour;
  while (h_.scheduler.NextWakeup(h_.now) == h_.now) {
  }
  EXPECT_GT(h_.scheduler.Counts().due, 400'000u);
  EXPECT_GT(h_.scheduler.Counts().waiting, 400'000u);
  uint64_t next_steps = 0;
  for (int i = 0; i < 300; ++i) {
    std::optional<Job> job;
    next_steps += StepsOf([&] { job = h_.Next(); });
    ASSERT_TRUE(job.has_value());
    EXPECT_LE(StepsOf([&] { h_.Deferred(*job, Verdict::kUnreachable); }), kFew);
    const uint64_t id = kMessages + 1 + static_cast<uint64_t>(i);
    EXPECT_LE(StepsOf([&] { h_.Add(id, "ann", "dead" + std::to_string(i) + ".example"); }), kFew);
    EXPECT_LE(StepsOf([&] { h_.scheduler.Hold(id); }), kFew);
    EXPECT_LE(StepsOf([&] { h_.scheduler.Release(id, h_.now); }), kFew);
    EXPECT_LE(StepsOf([&] { h_.scheduler.Remove(static_cast<uint64_t>(i) + 1); }), kFew);
    EXPECT_LE(StepsOf([&] { h_.scheduler.TakeAged(h_.now, 10); }), kFew);
  }
  // On the way it sets lines aside whose destination has no room, each once.
  EXPECT_LE(next_steps, 300 * kFew);
}

TEST_F(Deferred, AFreshMessageToAHealthyDestinationGoesAtOnce) {
  constexpr uint64_t kMessages = 100'000;
  Fill(kMessages);
  h_.scheduler.SetCapacity(Route::kRemote, 100);
  h_.now += 2 * kHour;
  EXPECT_EQ(h_.Drain().size(), 50u) << "probes of dead hosts fill their half";
  for (uint64_t i = 1; i <= 20; ++i) {
    h_.Add(kMessages + i, "ann", "good.example");
    const auto job = h_.Next();
    ASSERT_TRUE(job.has_value());
    EXPECT_EQ(job->destination, "good.example");
    h_.Delivered(*job);
  }
}

TEST_F(Deferred, AllAreGivenOutInTheEnd) {
  constexpr uint64_t kMessages = 200'000;
  Fill(kMessages);
  h_.now += 4 * kHour;
  uint64_t given = 0;
  for (auto job = h_.Next(); job.has_value(); job = h_.Next()) {
    ++given;
    h_.Delivered(*job);
    h_.scheduler.Remove(job->message_id);
  }
  EXPECT_EQ(given, kMessages);
  EXPECT_EQ(h_.scheduler.Counts().messages, 0u);
  EXPECT_LE(h_.scheduler.steps(), kMessages * kFew);
}

// Sixty simulated seconds with room for forty units: 50 000 messages of one sender to a destination
// that takes 47 ms, 2000 to one that takes 30 s, 500 dead ones that take two minutes to say so, and
// once a second a message of somebody else.
TEST(Simulated, NeitherBulkNorSlowNorDeadDestinationsDelayAnotherSendersMessageByASecond) {
  Harness h;
  constexpr size_t kCapacity = 40;
  h.scheduler.SetCapacity(Route::kRemote, kCapacity);
  uint64_t id = 0;
  for (int i = 0; i < 500; ++i)
    h.Add(++id, "d" + std::to_string(i % 50), "dead" + std::to_string(i), 2);
  for (int i = 0; i < 2000; ++i) h.Add(++id, "bulk", "slow");
  for (int i = 0; i < 50'000; ++i) h.Add(++id, "bulk", "quick");
  std::multimap<int64_t, Job> running;
  std::map<uint64_t, int64_t> asked;
  int64_t longest = 0;
  size_t given = 0;
  const int64_t begin = h.now;
  for (int64_t next_ask = begin; h.now < begin + kMinute;) {
    if (h.now >= next_ask) {
      ++id;
      h.Add(id, "ann", id % 2 == 0 ? "quick" : "other");
      asked[id] = h.now;
      next_ask += kSecond;
    }
    while (running.size() < kCapacity) {
      auto job = h.Next();
      if (!job.has_value()) break;
      if (const auto found = asked.find(job->message_id); found != asked.end()) {
        longest = std::max(longest, h.now - found->second);
        ++given;
      }
      const int64_t takes = job->destination.starts_with("dead") ? 2 * kMinute
                            : job->destination == "slow"         ? 30 * kSecond
                                                                 : 47 * kSecond / 1000;
      running.emplace(h.now + takes, *std::move(job));
    }
    h.now = std::min(next_ask, running.empty() ? next_ask : running.begin()->first);
    while (!running.empty() && running.begin()->first <= h.now) {
      const Job job = std::move(running.extract(running.begin()).mapped());
      if (job.destination.starts_with("dead")) {
        h.Deferred(job, Verdict::kUnreachable);
      } else {
        h.Delivered(job);
      }
    }
  }
  EXPECT_EQ(given, asked.size());
  EXPECT_LE(longest, kSecond);
  std::printf("the longest wait was %.3f s\n", static_cast<double>(longest) / kSecond);
}

}  // namespace
}  // namespace postern::qmgr
