#include "common/base/check.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

namespace postern {
namespace {

void Announce(const char* message) {
  constexpr char kHeard[] = "the hook heard: ";
  if (write(STDERR_FILENO, kHeard, sizeof kHeard - 1) < 0) return;
  if (write(STDERR_FILENO, message, std::strlen(message)) < 0) return;
}

TEST(Check, WhatHoldsCostsNothing) {
  int evaluated = 0;
  CHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1) << "the condition is evaluated once";
  CHECK_EQ(1, 1);
  CHECK_NE(1, 2);
  CHECK_LE(1, 1);
  CHECK_LT(1, 2);
  CHECK_GE(1, 1);
  CHECK_GT(2, 1);
}

TEST(CheckDeathTest, AFailedOneSaysWhereAndWhatAndEndsTheProcess) {
  EXPECT_DEATH(CHECK(1 + 1 == 3), "check_test.cc:[0-9]+: CHECK\\(1 \\+ 1 == 3\\) failed");
}

TEST(CheckDeathTest, EachComparisonFails) {
  EXPECT_DEATH(CHECK_EQ(1, 2), "failed");
  EXPECT_DEATH(CHECK_NE(1, 1), "failed");
  EXPECT_DEATH(CHECK_LE(2, 1), "failed");
  EXPECT_DEATH(CHECK_LT(1, 1), "failed");
  EXPECT_DEATH(CHECK_GE(1, 2), "failed");
  EXPECT_DEATH(CHECK_GT(1, 1), "failed");
}

TEST(CheckDeathTest, TheHookIsToldBeforeTheEnd) {
  EXPECT_DEATH(
      {
        SetCheckFailureHook(Announce);
        CHECK(false);
      },
      "the hook heard: .*check_test.cc");
}

}  // namespace
}  // namespace postern
