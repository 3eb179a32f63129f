// A million deferred messages: what they cost, and that no call looks through them.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdio>

#include "tests/daemons/qmgr/scheduler/harness.h"

namespace postern::qmgr {
namespace {

constexpr uint64_t kMessages = 1'000'000;
constexpr uint64_t kDead = 5000;

size_t Allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

class AMillionDeferred : public ::testing::Test {
 protected:
  void SetUp() override {
    const size_t before = Allocated();
    for (uint64_t id = 1; id <= kMessages; ++id) {
      h_.Add(id, "s" + std::to_string(id % 10'000),
             "dead" + std::to_string(id % kDead) + ".example", 3,
             h_.now + static_cast<int64_t>(id % 14'400) * kSecond);
    }
    octets_ = Allocated() - before;
  }

  uint64_t StepsOf(auto&& call) {
    const uint64_t before = h_.scheduler.steps();
    call();
    return h_.scheduler.steps() - before;
  }

  // The sifting in a heap of a million with four children: ten levels, four heaps' worth at most.
  static constexpr uint64_t kFew = 60;

  Harness h_{{.lifetime_us = 5 * kDay, .delay_notice_us = 4 * kHour}};
  size_t octets_ = 0;
};

TEST_F(AMillionDeferred, TakeAtMostTwoHundredOctetsEach) {
  std::printf("%.1f octets a message allocated, %.1f counted\n",
              static_cast<double>(octets_) / kMessages,
              static_cast<double>(h_.scheduler.octets()) / kMessages);
  // Sanitizers answer for malloc and have no such figures.
  if (octets_ > 0) EXPECT_LE(octets_ / kMessages, 260u);
  EXPECT_LE(h_.scheduler.octets() / kMessages, 260u);
}

TEST_F(AMillionDeferred, NoCallLooksThroughThem) {
  // Hundreds of thousands come due while every destination is dead.
  h_.scheduler.SetCapacity(Route::kRemote, 100);
  h_.now += 2 * kHour;
  while (h_.scheduler.NextWakeup(h_.now) == h_.now) {
  }
  EXPECT_GT(h_.scheduler.Counts().due, 400'000u);
  EXPECT_GT(h_.scheduler.Counts().waiting, 400'000u);
  for (int i = 0; i < 300; ++i) {
    std::optional<Job> job;
    EXPECT_LE(StepsOf([&] { job = h_.Next(); }), kFew * 100)
        << "those without room leave the turns";
    ASSERT_TRUE(job.has_value());
    EXPECT_LE(StepsOf([&] { h_.Deferred(*job, Verdict::kUnreachable); }), kFew);
    const uint64_t id = kMessages + 1 + static_cast<uint64_t>(i);
    EXPECT_LE(StepsOf([&] { h_.Add(id, "ann", "dead" + std::to_string(i) + ".example"); }), kFew);
    EXPECT_LE(StepsOf([&] { h_.scheduler.Hold(id); }), kFew);
    EXPECT_LE(StepsOf([&] { h_.scheduler.Release(id); }), kFew);
    EXPECT_LE(StepsOf([&] { h_.scheduler.Remove(static_cast<uint64_t>(i) + 1); }), kFew);
    EXPECT_LE(StepsOf([&] { h_.scheduler.TakeAged(h_.now, 10); }), kFew);
    EXPECT_LE(StepsOf([&] { h_.scheduler.Counts(); }), 0u);
  }
}

TEST_F(AMillionDeferred, AFreshMessageToAHealthyDestinationGoesAtOnce) {
  h_.scheduler.SetCapacity(Route::kRemote, 100);
  h_.now += 2 * kHour;
  std::vector<Job> probes = h_.Drain();
  EXPECT_EQ(probes.size(), 50u) << "probes of dead hosts fill their half";
  for (int i = 0; i < 20; ++i) {
    h_.Add(kMessages + 1 + static_cast<uint64_t>(i), "ann", "good.example");
    const auto job = h_.Next();
    ASSERT_TRUE(job.has_value());
    EXPECT_EQ(job->destination, "good.example");
    h_.Delivered(*job);
  }
}

TEST_F(AMillionDeferred, AllAreGivenOutInTheEnd) {
  h_.now += 4 * kHour;
  uint64_t given = 0;
  for (auto job = h_.Next(); job.has_value(); job = h_.Next()) {
    ++given;
    h_.Delivered(*job);
    h_.scheduler.Remove(job->message_id);
  }
  EXPECT_EQ(given, kMessages);
  EXPECT_EQ(h_.scheduler.messages(), 0u);
  EXPECT_LE(h_.scheduler.steps(), kMessages * kFew);
}

}  // namespace
}  // namespace postern::qmgr
