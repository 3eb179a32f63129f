#include "common/log/rate_limit.h"

#include <gtest/gtest.h>

namespace postern::log {
namespace {

TEST(RateLimit, LetsTheBurstThroughAndCountsTheRest) {
  RateLimit limit(2, 1000);
  EXPECT_EQ(limit.Admit("a", 0), 0u);
  EXPECT_EQ(limit.Admit("a", 1), 0u);
  EXPECT_EQ(limit.Admit("a", 2), std::nullopt);
  EXPECT_EQ(limit.Admit("a", 999), std::nullopt);
  EXPECT_EQ(limit.Admit("a", 1000), 2u) << "the next window says what was left out";
  EXPECT_EQ(limit.Admit("a", 1001), 0u);
}

TEST(RateLimit, KeysDoNotTouchEachOther) {
  RateLimit limit(1, 1000);
  EXPECT_EQ(limit.Admit("a", 0), 0u);
  EXPECT_EQ(limit.Admit("a", 1), std::nullopt);
  EXPECT_EQ(limit.Admit("b", 2), 0u);
}

TEST(RateLimit, KeysBeyondTheLimitShareOneWindow) {
  RateLimit limit(1, 1000, 2);
  EXPECT_EQ(limit.Admit("a", 0), 0u);
  EXPECT_EQ(limit.Admit("b", 0), 0u);
  EXPECT_EQ(limit.Admit("c", 0), 0u);
  EXPECT_EQ(limit.Admit("d", 1), std::nullopt);
  EXPECT_EQ(limit.keys(), 2u);
}

TEST(RateLimit, StaleKeysAreForgottenButNotTheirCount) {
  RateLimit limit(1, 1000, 2);
  EXPECT_EQ(limit.Admit("a", 0), 0u);
  EXPECT_EQ(limit.Admit("a", 1), std::nullopt);
  EXPECT_EQ(limit.Admit("b", 5000), 1u);
  EXPECT_EQ(limit.keys(), 1u);
}

}  // namespace
}  // namespace postern::log
