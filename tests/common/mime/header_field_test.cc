#include "common/mime/header_field.h"

#include <gtest/gtest.h>

#include <string>

#include "common/mime/limits.h"

namespace postern::mime {
namespace {

TEST(HeaderField, ShortOnesStayOnOneLine) {
  EXPECT_EQ(FormatField("Subject", "a short one"), "Subject: a short one\r\n");
  EXPECT_EQ(FormatField("X", ""), "X:\r\n");
  EXPECT_EQ(FormatField("X", "  a   b  "), "X: a b\r\n");
}

TEST(HeaderField, AValueMakesNoFieldOfItsOwn) {
  EXPECT_EQ(FormatField("X", "a\r\nBcc: b@c"), "X: a Bcc: b@c\r\n");
  EXPECT_EQ(FormatField("X", std::string("a\0b\x7f\tc", 6)), "X: a b c\r\n");
}

TEST(HeaderField, IsFoldedAtTheColumn) {
  const std::string fits(kFoldColumns - 3, 'x');
  EXPECT_EQ(FormatField("X", fits), "X: " + fits + "\r\n");
  EXPECT_EQ(FormatField("X", fits.substr(2) + " y"), "X: " + fits.substr(2) + " y\r\n");
  EXPECT_EQ(FormatField("X", fits.substr(1) + " y"), "X: " + fits.substr(1) + "\r\n y\r\n");
}

TEST(HeaderField, NoLineIsLongerThanALineMayBe) {
  std::string value = "a ";
  for (int i = 0; i < 1500; ++i) value += "\xc3\xbc";
  const std::string field = FormatField("Name", value);
  std::string unfolded;
  for (size_t at = 0; at < field.size();) {
    const size_t end = field.find("\r\n", at);
    EXPECT_LE(end - at, kMaxLineOctets);
    const std::string line = field.substr(at, end - at);
    EXPECT_NE(static_cast<unsigned char>(line[1]) & 0xC0, 0x80) << "cut within a character";
    unfolded += line;
    at = end + 2;
  }
  std::erase(unfolded, ' ');
  std::erase(value, ' ');
  EXPECT_EQ(unfolded, "Name:" + value);
}

TEST(Harmless, ReplacesWhatWouldMeanSomething) {
  EXPECT_EQ(Harmless("mx-1.example.org", 255), "mx-1.example.org");
  EXPECT_EQ(Harmless("[IPv6:::1]", 255), "[IPv6:::1]");
  EXPECT_EQ(Harmless("a b\r\n(c)\\\"<>;,\x7f", 255), "a?b???c????????");
  EXPECT_EQ(Harmless("b\xc3\xbc"
                     "cher\xff",
                     255),
            "b\xc3\xbc"
            "cher?");
}

TEST(Harmless, IsCutAtTheEndOfACharacter) {
  EXPECT_EQ(Harmless(std::string(256, 'x'), 255), std::string(255, 'x'));
  EXPECT_EQ(Harmless("ab\xc3\xbc", 3), "ab");
  EXPECT_EQ(Harmless("ab\xc3\xbc", 4), "ab\xc3\xbc");
}

}  // namespace
}  // namespace postern::mime
