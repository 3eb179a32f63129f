#include "daemons/master/backoff.h"

#include <gtest/gtest.h>

namespace postern::master {
namespace {

constexpr absl::Duration kSoon = absl::Seconds(1);
constexpr absl::Duration kMinute = absl::Minutes(1);

TEST(Backoff, DoublesWithEachDeathInARow) {
  Backoff backoff;
  for (const int64_t ms : {100, 200, 400, 800, 1600})
    EXPECT_EQ(backoff.OnDeath(kSoon, kMinute), absl::Milliseconds(ms));
  EXPECT_EQ(backoff.failures(), 5u);
}

TEST(Backoff, StopsAtTheLongestAndNeverOverflows) {
  Backoff backoff;
  absl::Duration last;
  for (int i = 0; i < 1000; ++i) last = backoff.OnDeath(kSoon, kMinute);
  EXPECT_EQ(last, kMinute);
  EXPECT_EQ(backoff.OnDeath(kSoon, absl::Hours(1)), absl::Hours(1));
}

TEST(Backoff, BeginsAnewAfterAStableRun) {
  Backoff backoff;
  backoff.OnDeath(kSoon, kMinute);
  backoff.OnDeath(kSoon, kMinute);
  EXPECT_EQ(backoff.OnDeath(Backoff::kStable - absl::Nanoseconds(1), kMinute),
            absl::Milliseconds(400))
      << "just short of stable";
  EXPECT_EQ(backoff.OnDeath(Backoff::kStable, kMinute), absl::Milliseconds(100));
  EXPECT_EQ(backoff.failures(), 1u);
}

TEST(Backoff, ALongestBelowTheFirstHolds) {
  Backoff backoff;
  EXPECT_EQ(backoff.OnDeath(kSoon, absl::Milliseconds(5)), absl::Milliseconds(5));
}

}  // namespace
}  // namespace postern::master
