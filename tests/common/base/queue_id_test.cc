#include "common/base/queue_id.h"

#include <gtest/gtest.h>

#include <set>

namespace postern {
namespace {

constexpr int64_t kNow = QueueId::kEpochMs + 1'000'000'000;

TEST(QueueId, KeepsItsPartsApart) {
  const QueueId id = QueueId::Of(kNow, 0xAB, 0x3FFF);
  EXPECT_EQ(id.unix_ms(), kNow);
  EXPECT_EQ(id.origin(), 0xAB);
  EXPECT_EQ(id.counter(), 0x3FFF);
}

TEST(QueueId, TimesOutsideItsRangeAreTheNearestInside) {
  EXPECT_EQ(QueueId::Of(0, 1, 0).unix_ms(), QueueId::kEpochMs);
  EXPECT_EQ(QueueId::Of(-1, 1, 0).unix_ms(), QueueId::kEpochMs);
  const int64_t last = QueueId::kEpochMs + (int64_t{1} << 42) - 1;
  EXPECT_EQ(QueueId::Of(last, 255, 0).unix_ms(), last);
  EXPECT_EQ(QueueId::Of(last + 1, 255, 0).unix_ms(), last);
  EXPECT_EQ(QueueId::Of(INT64_MAX, 255, 0x3FFF).value(), UINT64_MAX);
}

TEST(QueueId, IsWrittenAsThirteenCharacters) {
  struct Row {
    uint64_t value;
    std::string_view text;
  };
  for (const Row& row :
       {Row{0, "0000000000000"}, Row{31, "000000000000Z"}, Row{32, "0000000000010"},
        Row{UINT64_MAX, "FZZZZZZZZZZZZ"}, Row{0x123456789ABCDEF0, "14D2PF2DBSQQG"}}) {
    EXPECT_EQ(QueueId(row.value).ToString(), row.text);
    const Parsed<QueueId> back = QueueId::Parse(row.text);
    ASSERT_TRUE(back.has_value()) << row.text;
    EXPECT_EQ(back->value(), row.value);
  }
}

TEST(QueueId, LowerCaseIsReadToo) {
  const Parsed<QueueId> id = QueueId::Parse("14d2pf2dbsqqg");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(id->value(), 0x123456789ABCDEF0u);
}

TEST(QueueId, WhatIsNoIdIsRefused) {
  for (const std::string_view text :
       {"", "14D2PF2DBSQQ", "14D2PF2DBSQQGG", "G000000000000", "000000000000I", "000000000000L",
        "000000000000O", "000000000000U", "000000 000000", "-00000000000Z", "000000000000\n"}) {
    EXPECT_FALSE(QueueId::Parse(text).has_value()) << text;
  }
}

TEST(QueueId, TextSortsAsTheIdsDo) {
  const QueueId older = QueueId::Of(kNow, 200, 9000);
  const QueueId newer = QueueId::Of(kNow + 1, 3, 0);
  EXPECT_LT(older, newer);
  EXPECT_LT(older.ToString(), newer.ToString());
}

TEST(QueueIdMaker, IdsIncreaseWhileTheClockStandsStill) {
  QueueIdMaker maker(7);
  QueueId last;
  for (int i = 0; i < 3 * (1 << QueueId::kCounterBits); ++i) {
    const QueueId id = maker.Next(kNow);
    ASSERT_GT(id, last);
    ASSERT_EQ(id.origin(), 7);
    last = id;
  }
  EXPECT_EQ(last.unix_ms(), kNow + 2) << "16384 ids a millisecond, then borrowed from the next";
}

TEST(QueueIdMaker, IdsIncreaseWhenTheClockStepsBack) {
  QueueIdMaker maker(7);
  const QueueId before = maker.Next(kNow);
  const QueueId after = maker.Next(kNow - 86'400'000);
  EXPECT_GT(after, before);
  EXPECT_EQ(after.unix_ms(), kNow);
  EXPECT_EQ(maker.Next(kNow + 5).unix_ms(), kNow + 5) << "it follows the clock when that is ahead";
}

TEST(QueueIdMaker, BeginsBehindTheGreatestKnown) {
  const QueueId known = QueueId::Of(kNow + 1000, 7, 0x3FFF);
  QueueIdMaker maker(7, known);
  const QueueId next = maker.Next(kNow);
  EXPECT_GT(next, known);
  EXPECT_EQ(next.unix_ms(), kNow + 1001);
  EXPECT_EQ(next.counter(), 0);
}

TEST(QueueIdMaker, ASecondOriginNeverMakesTheSameId) {
  QueueIdMaker a(1);
  QueueIdMaker b(2);
  std::set<QueueId> seen;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(seen.insert(a.Next(kNow)).second);
    EXPECT_TRUE(seen.insert(b.Next(kNow)).second);
  }
}

}  // namespace
}  // namespace postern
