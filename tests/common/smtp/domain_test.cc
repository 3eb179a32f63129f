#include "common/smtp/domain.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::smtp {
namespace {

struct Row {
  const char* name;
  const char* ascii;  // null: no valid name
};

TEST(ToAscii, GivesALabels) {
  const Row rows[] = {
      {"Example.ORG", "example.org"},
      {"_dmarc.example.org", "_dmarc.example.org"},
      {"b\xc3\xbc"
       "cher.example",
       "xn--bcher-kva.example"},
      {"B\xc3\x9c"
       "CHER.example",
       "xn--bcher-kva.example"},
      {"bu\xcc\x88"
       "cher.example",
       "xn--bcher-kva.example"},                     // decomposed
      {"fa\xc3\x9f.example", "xn--fa-hia.example"},  // non-transitional: not "fass"
      {"xn--bcher-kva.example", "xn--bcher-kva.example"},
      {"\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88", "xn--r8jz45g.xn--zckzah"},
      {"", nullptr},
      {"a..b", nullptr},
      {"-a.example", nullptr},
      {"a b.example", nullptr},
      {"\xff.example", nullptr},
      {"\xe2\x80\x8b.example", nullptr},  // zero width space alone
      {"a\xe2\x80\xa6"
       "b.example",
       nullptr},  // an ellipsis maps to three dots
  };
  for (const Row& row : rows) {
    const Parsed<std::string> ascii = ToAscii(row.name);
    ASSERT_EQ(ascii.has_value(), row.ascii != nullptr) << row.name;
    if (row.ascii != nullptr) EXPECT_EQ(*ascii, row.ascii);
  }
}

TEST(ToAscii, NulHidesNothing) {
  EXPECT_FALSE(ToAscii(std::string_view("a\0.example", 10)).has_value());
  EXPECT_FALSE(ToAscii(std::string_view("\xc3\xbc\0.example", 11)).has_value());
}

TEST(ToAscii, LimitsHold) {
  EXPECT_TRUE(ToAscii(std::string(63, 'a') + ".example").has_value());
  EXPECT_FALSE(ToAscii(std::string(64, 'a') + ".example").has_value());
  // 56 letters and an u-umlaut make more than 63 octets of A-label.
  EXPECT_FALSE(ToAscii(std::string(60, 'a') + "\xc3\xbc.example").has_value());
  std::string endless;
  for (int i = 0; i < 1000; ++i) endless += "\xc3\xbc.";
  EXPECT_FALSE(ToAscii(endless + "example").has_value());
}

TEST(ToUnicode, GivesULabels) {
  EXPECT_EQ(ToUnicode("xn--bcher-kva.Example"),
            "b\xc3\xbc"
            "cher.example");
  EXPECT_EQ(ToUnicode("B\xc3\x9c"
                      "CHER.example"),
            "b\xc3\xbc"
            "cher.example");
  EXPECT_EQ(ToUnicode("Example.org"), "example.org");
  EXPECT_FALSE(ToUnicode("xn--\x80.example").has_value());
  EXPECT_FALSE(ToUnicode("xn--999999999.example").has_value());
}

}  // namespace
}  // namespace postern::smtp
