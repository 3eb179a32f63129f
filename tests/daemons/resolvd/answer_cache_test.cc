#include "daemons/resolvd/answer_cache.h"

#include <gtest/gtest.h>

#include "daemons/resolvd/limits.h"

namespace postern::resolvd {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
io::Deadline At(double seconds) {
  return io::Deadline::AtNanoseconds(static_cast<int64_t>(seconds * kSecond));
}

dns::Answer Found(uint32_t ttl_seconds, size_t text_octets = 4) {
  dns::Answer answer;
  answer.status = dns::Status::kFound;
  answer.ttl_seconds = ttl_seconds;
  answer.records = {dns::Txt{{std::string(text_octets, 'x')}}};
  return answer;
}

TEST(AnswerCache, AnAnswerIsThereUntilItsTimeIsOver) {
  AnswerCache cache(1 << 20);
  cache.Insert("k", Found(10), At(100));
  EXPECT_FALSE(cache.Find("other", At(100)).has_value());
  EXPECT_EQ(cache.Find("k", At(100))->ttl_seconds, 10u);
  EXPECT_EQ(cache.Find("k", At(107.5))->ttl_seconds, 2u);
  EXPECT_TRUE(cache.Find("k", At(109.99)).has_value());
  EXPECT_FALSE(cache.Find("k", At(110)).has_value());
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(cache.octets(), 0u);
}

TEST(AnswerCache, WhatHasNoTimeIsNotKeptButFailuresAreForAMoment) {
  AnswerCache cache(1 << 20);
  cache.Insert("k", Found(0), At(100));
  EXPECT_FALSE(cache.Find("k", At(100)).has_value());
  cache.Insert("k", dns::Failure(dns::Name(), "SERVFAIL"), At(100));
  EXPECT_TRUE(cache.Find("k", At(100.9)).has_value());
  EXPECT_FALSE(cache.Find("k", At(100) + kFailureMemory).has_value());
}

TEST(AnswerCache, ANewAnswerReplacesTheOld) {
  AnswerCache cache(1 << 20);
  cache.Insert("k", Found(10), At(100));
  const uint64_t octets = cache.octets();
  cache.Insert("k", Found(20), At(100));
  EXPECT_EQ(cache.octets(), octets);
  EXPECT_EQ(cache.Find("k", At(100))->ttl_seconds, 20u);
  cache.Insert("k", Found(0), At(100));
  EXPECT_FALSE(cache.Find("k", At(100)).has_value());
}

TEST(AnswerCache, MemoryIsBoundedAndTheLeastUsedLeavesFirst) {
  constexpr uint64_t kMax = 64 << 10;
  AnswerCache cache(kMax);
  cache.Insert("kept", Found(1000), At(0));
  for (int i = 0; i < 1000; ++i) {
    cache.Insert("k" + std::to_string(i), Found(1000, 200), At(0));
    ASSERT_LE(cache.octets(), kMax);
    ASSERT_TRUE(cache.Find("kept", At(1)).has_value()) << i;
  }
  EXPECT_TRUE(cache.Find("k999", At(1)).has_value());
  EXPECT_FALSE(cache.Find("k0", At(1)).has_value());
  EXPECT_GT(cache.size(), 10u);
}

TEST(AnswerCache, AnAnswerThatWouldTakeMuchOfTheMemoryIsNotKept) {
  AnswerCache cache(64 << 10);
  cache.Insert("large", Found(1000, 4096), At(0));
  EXPECT_FALSE(cache.Find("large", At(0)).has_value());
  EXPECT_EQ(cache.octets(), 0u);
}

}  // namespace
}  // namespace postern::resolvd
