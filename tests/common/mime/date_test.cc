#include "common/mime/date.h"

#include <gtest/gtest.h>

#include <ctime>
#include <limits>

namespace postern::mime {
namespace {

TEST(Date, IsWrittenAsRfc5322Says) {
  EXPECT_EQ(FormatDate(0), "Thu, 1 Jan 1970 00:00:00 +0000");
  EXPECT_EQ(FormatDate(-1), "Wed, 31 Dec 1969 23:59:59 +0000");
  EXPECT_EQ(FormatDate(1795510800), "Tue, 24 Nov 2026 09:00:00 +0000");
  EXPECT_EQ(FormatDate(951782400), "Tue, 29 Feb 2000 00:00:00 +0000");
  EXPECT_EQ(FormatDate(-2203891200), "Thu, 1 Mar 1900 00:00:00 +0000");
  EXPECT_EQ(FormatDate(253402300799), "Fri, 31 Dec 9999 23:59:59 +0000");
  EXPECT_EQ(FormatDate(-62135596800), "Mon, 1 Jan 0001 00:00:00 +0000");
}

TEST(Date, HasAnOffset) {
  EXPECT_EQ(FormatDate(0, 60), "Thu, 1 Jan 1970 01:00:00 +0100");
  EXPECT_EQ(FormatDate(0, -210), "Wed, 31 Dec 1969 20:30:00 -0330");
  EXPECT_EQ(FormatDate(0, -30), "Wed, 31 Dec 1969 23:30:00 -0030");
}

TEST(Date, IsClampedAtTheEdges) {
  EXPECT_EQ(FormatDate(std::numeric_limits<int64_t>::max()), "Fri, 31 Dec 9999 23:59:59 +0000");
  EXPECT_EQ(FormatDate(std::numeric_limits<int64_t>::min()), "Mon, 1 Jan 0001 00:00:00 +0000");
  EXPECT_EQ(FormatDate(std::numeric_limits<int64_t>::max(), 1 << 30).substr(0, 16),
            "Fri, 31 Dec 9999");
  EXPECT_TRUE(FormatDate(0, 6000).ends_with(" +9959"));
}

// Some days of each month of 800 years, against the C library.
TEST(Date, AgreesWithTheCLibrary) {
  for (int64_t day = -292000; day < 292000; day += 11) {
    const time_t moment = day * 86400 + (day & 0xFFFF);
    tm parts;
    ASSERT_NE(gmtime_r(&moment, &parts), nullptr);
    char expected[64];
    strftime(expected, sizeof expected, "%a, %-d %b %Y %H:%M:%S +0000", &parts);
    ASSERT_EQ(FormatDate(moment), expected);
  }
}

}  // namespace
}  // namespace postern::mime
