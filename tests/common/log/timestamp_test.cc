#include "common/log/timestamp.h"

#include <gtest/gtest.h>
#include <time.h>

#include <string>

namespace postern::log {
namespace {

std::string Written(int64_t unix_us) {
  std::string text(kTimestampOctets, '?');
  WriteTimestamp(unix_us, text.data());
  return text;
}

struct Row {
  int64_t unix_us;
  std::string_view text;
};

constexpr Row kRows[] = {
    {0, "1970-01-01T00:00:00.000000Z"},
    {1, "1970-01-01T00:00:00.000001Z"},
    {-1, "1969-12-31T23:59:59.999999Z"},
    {951'782'400'000'000, "2000-02-29T00:00:00.000000Z"},
    {4'107'542'399'999'999, "2100-02-28T23:59:59.999999Z"},
    {4'107'542'400'000'000, "2100-03-01T00:00:00.000000Z"},
    {1'735'689'599'999'999, "2024-12-31T23:59:59.999999Z"},
    {253'402'300'799'999'999, "9999-12-31T23:59:59.999999Z"},
    {-62'167'219'200'000'000, "0000-01-01T00:00:00.000000Z"},
};

TEST(Timestamp, IsWrittenAndReadBack) {
  for (const Row& row : kRows) {
    EXPECT_EQ(Written(row.unix_us), row.text);
    const Parsed<int64_t> back = ParseTimestamp(row.text);
    ASSERT_TRUE(back.has_value()) << row.text;
    EXPECT_EQ(*back, row.unix_us);
  }
}

TEST(Timestamp, AgreesWithTheCLibraryOnEveryDayOfFourCenturies) {
  for (int64_t day = -73'000; day < 73'100; ++day) {
    const time_t seconds = day * 86'400 + 43'261;
    tm expected;
    ASSERT_NE(gmtime_r(&seconds, &expected), nullptr);
    const CivilTime time = ToCivil(int64_t{seconds} * 1'000'000);
    ASSERT_EQ(time.year, expected.tm_year + 1900) << day;
    ASSERT_EQ(time.month, expected.tm_mon + 1) << day;
    ASSERT_EQ(time.day, expected.tm_mday) << day;
    ASSERT_EQ(time.second, 1) << day;
    ASSERT_EQ(FromCivil(time), int64_t{seconds} * 1'000'000) << day;
  }
}

TEST(Timestamp, BeyondFourDigitsOfYearItStaysAtTheEdge) {
  EXPECT_EQ(Written(INT64_MAX), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(Written(INT64_MIN), "0000-01-01T00:00:00.000000Z");
}

TEST(Timestamp, WhatIsNoTimeIsRefused) {
  for (const std::string_view text :
       {"", "2026-11-24T08:57:32.123456", "2026-11-24T08:57:32.123456z",
        "2026-11-24 08:57:32.123456Z", "2026-00-24T08:57:32.123456Z", "2026-13-24T08:57:32.123456Z",
        "2026-11-00T08:57:32.123456Z", "2026-11-31T08:57:32.123456Z", "2026-02-29T08:57:32.123456Z",
        "2026-11-24T24:57:32.123456Z", "2026-11-24T08:60:32.123456Z", "2026-11-24T08:57:60.123456Z",
        "2026-11-24T08:57:32.12345aZ", "-026-11-24T08:57:32.123456Z"}) {
    EXPECT_FALSE(ParseTimestamp(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace postern::log
