// Domains, next hops, paths, edit distances and line breaks: the small notations.
#include <gtest/gtest.h>

#include "common/config/domain.h"
#include "common/config/explain.h"
#include "common/config/next_hop.h"
#include "common/config/path.h"
#include "common/config/suggest.h"
#include "common/config/value.h"
#include "common/config/wrap.h"

namespace postern::config {
namespace {

TEST(Domain, BecomesLowerCaseALabels) {
  static constexpr std::pair<std::string_view, std::string_view> kGood[] = {
      {"example.org", "example.org"},
      {"EXAMPLE.Org", "example.org"},
      {"localhost", "localhost"},
      {"_dmarc.example", "_dmarc.example"},
      {"b\xc3\xbc"
       "cher.example",
       "xn--bcher-kva.example"},
      {"B\xc3\x9c"
       "CHER.example",
       "xn--bcher-kva.example"},
      {"bu\xcc\x88"
       "cher.example",
       "xn--bcher-kva.example"},  // not composed
      {"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
      {"fa\xc3\x9f.example", "xn--fa-hia.example"},  // non-transitional: the sharp s stays
  };
  for (const auto& [text, expected] : kGood) {
    const Parsed<std::string> domain = NormaliseDomain(text);
    ASSERT_TRUE(domain.has_value()) << text << ": " << domain.error().reason;
    EXPECT_EQ(*domain, expected);
  }
  for (const std::string_view text :
       {std::string_view(""), std::string_view("."), std::string_view("a..b"),
        std::string_view("a."), std::string_view("a b"), std::string_view("a:25"),
        std::string_view("192.0.2.1"), std::string_view("[192.0.2.1]"), std::string_view("::1"),
        std::string_view("\xff.example"), std::string_view("a\0b", 3),
        std::string_view("\xe2\x80\x8b.example"), std::string_view("-a.example")})
    EXPECT_FALSE(NormaliseDomain(text).has_value()) << text;
}

TEST(NextHop, HasFourForms) {
  static constexpr std::pair<std::string_view, std::string_view> kGood[] = {
      {"mx.example.org:25", "smtp://mx.example.org:25"},
      {"mx.example.org", "smtp://mx.example.org"},
      {"smtp://[::1]:25", "smtp://[::1]:25"},
      {"lmtp://127.0.0.1:24", "lmtp://127.0.0.1:24"},
      {"lmtp:/run/lmtp", "lmtp:/run/lmtp"},
  };
  for (const auto& [text, printed] : kGood) {
    const Parsed<NextHop> hop = ParseNextHop(text);
    ASSERT_TRUE(hop.has_value()) << text << ": " << hop.error().reason;
    EXPECT_EQ(hop->ToString(), printed);
    EXPECT_EQ(ParseNextHop(hop->ToString()), *hop);
  }
  for (const char* text : {"", "smtp://", "smtp:/x", "smtp://h:25/", "lmtp:", "lmtp:x", "lmtp://",
                           "smtps://h", "h:0", "h:99999", "h/25"})
    EXPECT_FALSE(ParseNextHop(text).has_value()) << text;
}

TEST(Path, IsCleanedWithoutLookingAtTheDisk) {
  static constexpr std::pair<std::string_view, std::string_view> kGood[] = {
      {"/", "/"},   {"//", "/"},        {"/a//b/./c/", "/a/b/c"}, {".", "."},
      {"./a", "a"}, {"a/..b", "a/..b"}, {"...", "..."},
  };
  for (const auto& [text, expected] : kGood) EXPECT_EQ(CleanPath(text), expected) << text;
  for (const char* text : {"", "..", "../a", "/a/../b", "a/..", "a\nb", "a\x7f"})
    EXPECT_FALSE(CleanPath(text).has_value()) << text;
  EXPECT_TRUE(CleanPath(std::string(4095, 'a')).has_value());
  EXPECT_FALSE(CleanPath(std::string(4096, 'a')).has_value());
  EXPECT_EQ(Below("/", "a"), "/a");
  EXPECT_EQ(Below("/r", "a/b"), "/r/a/b");
  EXPECT_EQ(Below("/r", "/a"), "/a");
  EXPECT_TRUE(IsWithin("/a", "/a"));
  EXPECT_TRUE(IsWithin("/a", "/a/b"));
  EXPECT_FALSE(IsWithin("/a", "/ab"));
  EXPECT_TRUE(IsWithin("/", "/ab"));
}

TEST(EditDistance, CountsTypingErrors) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("abc", "abc"), 0u);
  EXPECT_EQ(EditDistance("abc", "acb"), 1u);
  EXPECT_EQ(EditDistance("abc", "ab"), 1u);
  EXPECT_EQ(EditDistance("abc", "abxc"), 1u);
  EXPECT_EQ(EditDistance("abc", "axc"), 1u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
}

TEST(NearestKey, FindsTypingErrorsAndWrongSections) {
  EXPECT_EQ(NearestKey("smtp.max_recipient"), "smtp.max_recipients");
  EXPECT_EQ(NearestKey("queue.max_recipients"), "smtp.max_recipients");
  EXPECT_EQ(NearestKey("max_hops"), "smtp.max_hops");
  EXPECT_EQ(NearestKey("smpt"), "smtp");
  EXPECT_EQ(NearestKey("smpt.listen"), "smtp.listen");
  EXPECT_EQ(NearestKey("hostnam"), "hostname");
  EXPECT_EQ(NearestKey("qwertyuiop"), "");
  EXPECT_EQ(NearestKey(std::string(100'000, 'a')), "");
}

TEST(Wrapped, BreaksAtSpacesWithinTheWidth) {
  EXPECT_EQ(Wrapped("one two three", "", "", 7), "one two\nthree\n");
  EXPECT_EQ(Wrapped("one two three", "# ", "#   ", 9), "# one two\n#   three\n");
  EXPECT_EQ(Wrapped("overlong a", "", "", 4), "overlong\na\n");
  EXPECT_EQ(Wrapped("", "", "", 4), "\n");
}

TEST(Value, IsPrintedAsToml) {
  EXPECT_EQ(Value::Text("a\"b\\c\n\x7f").ToToml(), "\"a\\\"b\\\\c\\u000A\\u007F\"");
  EXPECT_EQ(Value::List({Value::Integer(-1), Value::Flag(true)}).ToToml(), "[-1, true]");
  EXPECT_EQ(Value::Table({}).ToToml(), "{}");
  EXPECT_EQ(Value::Table({{"a", {}, Value::Integer(1)}, {"b.c", {}, Value::Text("")}}).ToToml(),
            "{ a = 1, \"b.c\" = \"\" }");
}

}  // namespace
}  // namespace postern::config
