#include "daemons/bounced/rules.h"

#include <gtest/gtest.h>

namespace postern::bounced {
namespace {

struct Row {
  uint8_t notify;
  Decision failed, delayed, delivered, relayed, expanded;
};

constexpr Decision kNo = Decision::kNone;
constexpr uint8_t kS = kNotifySuccess;
constexpr uint8_t kF = kNotifyFailure;
constexpr uint8_t kD = kNotifyDelay;

constexpr Row kRows[] = {
    {0, Decision::kFailed, Decision::kDelayed, kNo, kNo, kNo},
    {kNotifyNever, kNo, kNo, kNo, kNo, kNo},
    {kS, kNo, kNo, Decision::kDelivered, Decision::kRelayed, Decision::kExpanded},
    {kF, Decision::kFailed, kNo, kNo, kNo, kNo},
    {kD, kNo, Decision::kDelayed, kNo, kNo, kNo},
    {kS | kF, Decision::kFailed, kNo, Decision::kDelivered, Decision::kRelayed,
     Decision::kExpanded},
    {kS | kD, kNo, Decision::kDelayed, Decision::kDelivered, Decision::kRelayed,
     Decision::kExpanded},
    {kF | kD, Decision::kFailed, Decision::kDelayed, kNo, kNo, kNo},
    {kS | kF | kD, Decision::kFailed, Decision::kDelayed, Decision::kDelivered, Decision::kRelayed,
     Decision::kExpanded},
    {kNotifyNever | kS | kF | kD, kNo, kNo, kNo, kNo, kNo},
};

TEST(DecideNotice, FollowsEveryCombinationOfNotify) {
  for (const Row& row : kRows) {
    const auto decide = [&](Fate fate) { return DecideNotice(fate, row.notify, "a@example.org"); };
    EXPECT_EQ(decide(Fate::kFailed), row.failed) << int{row.notify};
    EXPECT_EQ(decide(Fate::kDelayed), row.delayed) << int{row.notify};
    EXPECT_EQ(decide(Fate::kDelivered), row.delivered) << int{row.notify};
    EXPECT_EQ(decide(Fate::kRelayedWithoutDsn), row.relayed) << int{row.notify};
    EXPECT_EQ(decide(Fate::kRelayedWithDsn), kNo) << int{row.notify};
    EXPECT_EQ(decide(Fate::kExpanded), row.expanded) << int{row.notify};
  }
}

TEST(DecideNotice, TheNullSenderNeverGetsOne) {
  for (const std::string_view sender : {"", "<>"}) {
    for (uint8_t notify = 0; notify < 16; ++notify) {
      for (const Fate fate : {Fate::kFailed, Fate::kDelayed, Fate::kDelivered,
                              Fate::kRelayedWithDsn, Fate::kRelayedWithoutDsn, Fate::kExpanded}) {
        EXPECT_EQ(DecideNotice(fate, notify, sender), kNo);
      }
    }
  }
}

TEST(ReturnsWholeMessage, OnlyForFailuresAndOnlyWhenAsked) {
  EXPECT_TRUE(ReturnsWholeMessage(Ret::kFull, true));
  EXPECT_FALSE(ReturnsWholeMessage(Ret::kFull, false));
  EXPECT_FALSE(ReturnsWholeMessage(Ret::kHeaders, true));
  EXPECT_FALSE(ReturnsWholeMessage(Ret::kHeaders, false));
  EXPECT_FALSE(ReturnsWholeMessage(Ret::kNotGiven, true));
  EXPECT_FALSE(ReturnsWholeMessage(Ret::kNotGiven, false));
}

}  // namespace
}  // namespace postern::bounced
