#include "daemons/bounced/text.h"

#include <gtest/gtest.h>

#include "daemons/bounced/limits.h"

namespace postern::bounced {
namespace {

TEST(OneLine, NothingForeignEndsTheLine) {
  struct Row {
    std::string_view foreign, ascii, utf8;
  };
  for (const Row& row :
       {Row{"", "", ""}, Row{"550 no", "550 no", "550 no"},
        Row{"a\r\nBcc: b\r\n\r\nc", "a Bcc: b c", "a Bcc: b c"}, Row{" \t a  b \n", "a b", "a b"},
        Row{"a\x1B[2J\x7F"
            "b",
            "a [2J b", "a [2J b"},
        Row{"gr\xC3\xBC n", "gr? n", "gr\xC3\xBC n"}, Row{"\xFF\xC3*", "??*", "??*"},
        Row{"\xC2\x85\xE2\x80\xA8\xE2\x80\xAE\xE2\x81\xA6", "????", "????"}}) {
    EXPECT_EQ(OneLine(row.foreign, Charset::kAscii, 100), row.ascii);
    EXPECT_EQ(OneLine(row.foreign, Charset::kUtf8, 100), row.utf8);
  }
}

TEST(OneLine, IsCutAtItsLimit) {
  EXPECT_EQ(OneLine("abcd", Charset::kAscii, 4), "abcd");
  EXPECT_EQ(OneLine("abcde", Charset::kAscii, 4), "abcd...");
  EXPECT_EQ(OneLine("abcd \r\n", Charset::kAscii, 4), "abcd");
}

TEST(Token, ControlCharactersBecomeQuestionMarks) {
  EXPECT_EQ(Token("a\r\nb@x\t", Charset::kAscii), "a??b@x?");
  EXPECT_EQ(Token("\"a b\"@x", Charset::kAscii), "\"a b\"@x");
  EXPECT_EQ(Token(std::string(kMaxTokenOctets, 'a'), Charset::kAscii).size(), kMaxTokenOctets);
  EXPECT_TRUE(Token(std::string(kMaxTokenOctets + 1, 'a'), Charset::kAscii).ends_with("a..."));
}

TEST(TypedAddress, IsUtf8OnlyWhenItMustBe) {
  EXPECT_EQ(TypedAddress("a@example.org", Charset::kAscii), "rfc822;a@example.org");
  EXPECT_EQ(TypedAddress("a@example.org", Charset::kUtf8), "rfc822;a@example.org");
  EXPECT_EQ(TypedAddress("\xC3\xA9+\\@\xF0\x9F\x93\xAC", Charset::kUtf8),
            "utf-8;\xC3\xA9+\\@\xF0\x9F\x93\xAC");
  EXPECT_EQ(TypedAddress("\xC3\xA9+\\@\xF0\x9F\x93\xAC", Charset::kAscii),
            "utf-8;\\x{E9}\\x{2B}\\x{5C}@\\x{1F4EC}");
}

TEST(TypedOrcpt, KeepsTheTypeAndEncodesForTheCharset) {
  EXPECT_EQ(TypedOrcpt("rfc822;a+b@x", Charset::kAscii), "rfc822;a+b@x");
  EXPECT_EQ(TypedOrcpt("UTF-8;\xC3\xA9@x", Charset::kAscii), "UTF-8;\\x{E9}@x");
  EXPECT_EQ(TypedOrcpt("utf-8;\xC3\xA9@x", Charset::kUtf8), "utf-8;\xC3\xA9@x");
  EXPECT_EQ(TypedOrcpt("x400;/c=de\r\nStatus: 2.0.0", Charset::kAscii),
            "x400;/c=de??Status: 2.0.0");
  EXPECT_EQ(TypedOrcpt("rfc822;\xC3\xA9", Charset::kUtf8), "rfc822;?");
  for (const std::string_view bad : {"", "a@x", ";a@x", "two words;a@x"}) {
    EXPECT_EQ(TypedOrcpt(bad, Charset::kAscii), "") << bad;
  }
}

TEST(AppendField, FoldsAtWordsAndInsideEndlessOnes) {
  std::string to;
  AppendField(to, "A", "b");
  EXPECT_EQ(to, "A: b\r\n");
  to.clear();
  AppendField(to, "Subject", std::string(60, 'x') + " " + std::string(20, 'y'));
  EXPECT_EQ(to, "Subject: " + std::string(60, 'x') + "\r\n " + std::string(20, 'y') + "\r\n");
  to.clear();
  AppendField(to, "Diagnostic-Code", "smtp; " + std::string(5000, 'x'));
  size_t longest = 0;
  size_t letters = 0;
  for (size_t begin = 0, end; (end = to.find("\r\n", begin)) != to.npos; begin = end + 2) {
    longest = std::max(longest, end - begin);
    if (begin > 0) {
      EXPECT_EQ(to[begin], ' ');
    }
  }
  for (const char c : to) letters += c == 'x' ? 1u : 0u;
  EXPECT_LE(longest, kMaxLineOctets);
  EXPECT_EQ(letters, 5000u);
}

TEST(AppendWrapped, KeepsWordsWholeAndIndented) {
  std::string to;
  AppendWrapped(to, "> ", std::string(40, 'a') + ' ' + std::string(40, 'b'));
  EXPECT_EQ(to, "> " + std::string(40, 'a') + "\r\n> " + std::string(40, 'b') + "\r\n");
}

TEST(DateTime, IsThatOfRfc5322) {
  EXPECT_EQ(DateTime(0), "Thu, 1 Jan 1970 00:00:00 +0000");
  EXPECT_EQ(DateTime(-1), "Wed, 31 Dec 1969 23:59:59 +0000");
  EXPECT_EQ(DateTime(1'795'510'652'123'456), "Tue, 24 Nov 2026 08:57:32 +0000");
}

}  // namespace
}  // namespace postern::bounced
