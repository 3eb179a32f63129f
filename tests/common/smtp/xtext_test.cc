#include "common/smtp/xtext.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::smtp {
namespace {

TEST(Xtext, DecodesWhatTheGrammarAllows) {
  struct {
    const char* encoded;
    const char* decoded;  // null: malformed
  } const rows[] = {
      {"", ""},          {"plain!~", "plain!~"}, {"a+2Bb", "a+b"}, {"+3D", "="},
      {"a+20b", "a b"},  {"+E4", "\xe4"},        {"+", nullptr},   {"+2", nullptr},
      {"+2b", nullptr},  {"+G0", nullptr},       {"a=b", nullptr}, {"a b", nullptr},
      {"\x7f", nullptr}, {"\xc3\xbc", nullptr},
  };
  for (const auto& row : rows) {
    const Parsed<std::string> decoded = DecodeXtext(row.encoded);
    ASSERT_EQ(decoded.has_value(), row.decoded != nullptr) << row.encoded;
    if (row.decoded != nullptr) EXPECT_EQ(*decoded, row.decoded);
  }
}

TEST(Xtext, EveryOctetSurvives) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(DecodeXtext(EncodeXtext(all)), all);
  EXPECT_EQ(EncodeXtext("a+b=c d"), "a+2Bb+3Dc+20d");
}

TEST(Utf8Address, DecodesWhatTheGrammarAllows) {
  struct {
    const char* encoded;
    const char* decoded;  // null: malformed
    Utf8 utf8 = Utf8::kRefused;
  } const rows[] = {
      {"a@b.example", "a@b.example"},
      {"\\x{FC}@b", "\xc3\xbc@b"},
      {"\\x{5C}@b", "\\@b"},
      {"\\x{2B}", "+"},
      {"a+b@c", "a+b@c"},
      {"\\x{20AC}", "\xe2\x82\xac"},
      {"\\x{10FFFF}", "\xf4\x8f\xbf\xbf"},
      {"\\x{110000}", nullptr},
      {"\\x{D800}", nullptr},
      {"\\x{0A}", nullptr},
      {"\\x{7F}", nullptr},
      {"\\x{fc}", nullptr},
      {"\\x{1}", nullptr},
      {"\\x{}", nullptr},
      {"\\x{1000000}", nullptr},
      {"\\x{FC", nullptr},
      {"\\y", nullptr},
      {"\\", nullptr},
      {"a b", nullptr},
      {"a=b", nullptr},
      {"\xc3\xbc@b", nullptr},
      {"\xc3\xbc@b", "\xc3\xbc@b", Utf8::kAllowed},
      {"\xc3@b", nullptr, Utf8::kAllowed},
  };
  for (const auto& row : rows) {
    const Parsed<std::string> decoded = DecodeUtf8Address(row.encoded, row.utf8);
    ASSERT_EQ(decoded.has_value(), row.decoded != nullptr) << row.encoded;
    if (row.decoded != nullptr) EXPECT_EQ(*decoded, row.decoded);
  }
}

TEST(Utf8Address, IsPrintedForEitherKindOfPeer) {
  const std::string address = "\xc3\xbc\\+=\xe2\x82\xac\xf0\x9f\x98\x80@b.example";
  const std::string ascii = EncodeUtf8Address(address, Utf8::kRefused);
  EXPECT_EQ(ascii, "\\x{FC}\\x{5C}\\x{2B}\\x{3D}\\x{20AC}\\x{1F600}@b.example");
  EXPECT_EQ(DecodeUtf8Address(ascii, Utf8::kRefused), address);
  const std::string utf8 = EncodeUtf8Address(address, Utf8::kAllowed);
  EXPECT_EQ(utf8, "\xc3\xbc\\x{5C}\\x{2B}\\x{3D}\xe2\x82\xac\xf0\x9f\x98\x80@b.example");
  EXPECT_EQ(DecodeUtf8Address(utf8, Utf8::kAllowed), address);
}

}  // namespace
}  // namespace postern::smtp
