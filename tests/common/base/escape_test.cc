#include "common/base/escape.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace postern {
namespace {

using namespace std::string_view_literals;

TEST(Escaped, LeavesWhatIsPrintable) {
  EXPECT_EQ(Escaped(""), "");
  EXPECT_EQ(Escaped("plain text <a@b>"), "plain text <a@b>");
  EXPECT_EQ(Escaped("\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"),
            "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80");
}

TEST(Escaped, MakesNoLinesAndNoQuotes) {
  EXPECT_EQ(Escaped("a\r\nb\tc\\d\"e"), "a\\r\\nb\\tc\\\\d\\\"e");
  EXPECT_EQ(Escaped("\0\x01\x1b[2J\x7f"sv), "\\x00\\x01\\x1b[2J\\x7f");
}

TEST(Escaped, NamesOctetsThatAreNoUtf8AndControlsBeyondAscii) {
  EXPECT_EQ(Escaped("a\xff\xc3"), "a\\xff\\xc3");
  EXPECT_EQ(Escaped("\xc0\xaf"), "\\xc0\\xaf");
  EXPECT_EQ(Escaped("\xc2\x9b"), "\\xc2\\x9b");  // CSI: an escape sequence to some terminals
  EXPECT_EQ(Escaped("\xc2\xa0"), "\xc2\xa0");
}

TEST(Escaped, IsCutAtTheLimit) {
  EXPECT_EQ(Escaped("abc", 3), "abc");
  EXPECT_EQ(Escaped("abcd", 3), "abc...");
  EXPECT_EQ(Escaped(std::string(512, 'x')), std::string(512, 'x'));
  EXPECT_EQ(Escaped(std::string(513, 'x')), std::string(512, 'x') + "...");
  EXPECT_EQ(Escaped("ab\xc3\xbc", 3), "ab\\xc3...") << "half a character is no UTF-8";
}

TEST(Utf8, SequencesAreJudgedAsRfc3629Says) {
  struct {
    const char* what;
    std::string_view text;
    size_t length;  // 0: not valid
  } const rows[] = {
      {"ASCII", "a"sv, 1},
      {"NUL", "\0"sv, 1},
      {"last of one octet", "\x7f"sv, 1},
      {"lone continuation", "\x80"sv, 0},
      {"overlong, two octets", "\xc1\xbf"sv, 0},
      {"first of two octets", "\xc2\x80"sv, 2},
      {"last of two octets", "\xdf\xbf"sv, 2},
      {"cut, two octets", "\xc3"sv, 0},
      {"second octet no continuation", "\xc3\x28"sv, 0},
      {"overlong, three octets", "\xe0\x9f\xbf"sv, 0},
      {"first of three octets", "\xe0\xa0\x80"sv, 3},
      {"last before the surrogates", "\xed\x9f\xbf"sv, 3},
      {"first surrogate", "\xed\xa0\x80"sv, 0},
      {"last surrogate", "\xed\xbf\xbf"sv, 0},
      {"first behind the surrogates", "\xee\x80\x80"sv, 3},
      {"last of three octets", "\xef\xbf\xbf"sv, 3},
      {"cut, three octets", "\xe2\x82"sv, 0},
      {"third octet no continuation", "\xe2\x82\x41"sv, 0},
      {"overlong, four octets", "\xf0\x8f\xbf\xbf"sv, 0},
      {"first of four octets", "\xf0\x90\x80\x80"sv, 4},
      {"U+10FFFF", "\xf4\x8f\xbf\xbf"sv, 4},
      {"beyond U+10FFFF", "\xf4\x90\x80\x80"sv, 0},
      {"lead octet of none", "\xf5\x80\x80\x80"sv, 0},
      {"cut, four octets", "\xf0\x9f\x98"sv, 0},
      {"fourth octet no continuation", "\xf0\x9f\x98\x41"sv, 0},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    EXPECT_EQ(Utf8SequenceLength(row.text), row.length);
    EXPECT_EQ(IsValidUtf8(row.text), row.length == row.text.size());
    EXPECT_EQ(Utf8SequenceLength(std::string(row.text) + "tail"), row.length);
    EXPECT_EQ(IsValidUtf8("a" + std::string(row.text) + "b"), row.length > 0);
  }
  EXPECT_EQ(Utf8SequenceLength(""), 0u);
  EXPECT_TRUE(IsValidUtf8(""));
}

}  // namespace
}  // namespace postern
