#include "daemons/bounced/returned.h"

#include <gtest/gtest.h>

#include "daemons/bounced/limits.h"

namespace postern::bounced {
namespace {

using namespace std::string_view_literals;

TEST(HeaderSection, EndsBeforeTheEmptyLine) {
  EXPECT_EQ(HeaderSection("A: b\r\nC: d\r\n\r\nbody\r\n"), "A: b\r\nC: d\r\n");
  EXPECT_EQ(HeaderSection("A: b\nC: d\n\nbody\n"), "A: b\r\nC: d\r\n");
  EXPECT_EQ(HeaderSection("A: b"), "A: b\r\n");
  EXPECT_EQ(HeaderSection("\r\nbody"), "");
  EXPECT_EQ(HeaderSection(""), "");
}

TEST(HeaderSection, IsCleanedOfWhatNoNoticeMayHold) {
  EXPECT_EQ(HeaderSection("A: b\0c\rd\te\x7F\r\n"sv), "A: b?c?d\te?\r\n");
  EXPECT_EQ(HeaderSection("A: " + std::string(kMaxLineOctets, 'x') + "\r\nB: c\r\n"),
            "A: " + std::string(kMaxLineOctets - 3, 'x') + "\r\nB: c\r\n");
}

TEST(HeaderSection, IsCutAtALineWithinItsLimit) {
  std::string long_header;
  while (long_header.size() < kMaxReturnedHeaderOctets)
    long_header += "X: " + std::string(11, 'y') + "\r\n";
  ASSERT_EQ(long_header.size(), kMaxReturnedHeaderOctets);
  EXPECT_EQ(HeaderSection(long_header), long_header);
  EXPECT_EQ(HeaderSection(long_header + "Z: 1\r\n"), long_header);
}

TEST(WholeMessage, IsRefusedWhenItNeedsAnEncoding) {
  EXPECT_EQ(WholeMessage("A: b\r\n\r\nc\r\n"), "A: b\r\n\r\nc\r\n");
  EXPECT_EQ(WholeMessage("A: b\r\n\r\nc"), "A: b\r\n\r\nc\r\n");
  EXPECT_EQ(WholeMessage("A: \xC3\xA9\r\n\r\n\xFF\r\n"), "A: \xC3\xA9\r\n\r\n\xFF\r\n");
  EXPECT_EQ(WholeMessage("A: b\r\n\r\n\0\r\n"sv), std::nullopt);
  EXPECT_EQ(WholeMessage("A: b\r\n\r\nc\nd\r\n"), std::nullopt);
  EXPECT_EQ(WholeMessage("A: b\r\n\r\nc\rd\r\n"), std::nullopt);
  EXPECT_EQ(WholeMessage("A: b\r\n\r\nc\r"), std::nullopt);
  const std::string line(kMaxLineOctets, 'x');
  EXPECT_EQ(WholeMessage(line + "\r\n"), line + "\r\n");
  EXPECT_EQ(WholeMessage(line + "x\r\n"), std::nullopt);
}

TEST(WholeMessage, IsRefusedBeyondItsLimit) {
  std::string message;
  while (message.size() < kMaxReturnedMessageOctets) message += std::string(62, 'x') + "\r\n";
  ASSERT_EQ(message.size(), kMaxReturnedMessageOctets);
  EXPECT_TRUE(WholeMessage(message).has_value());
  EXPECT_FALSE(WholeMessage("\r\n" + message).has_value());
}

}  // namespace
}  // namespace postern::bounced
