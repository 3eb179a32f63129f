#include "common/dns/name.h"

#include <gtest/gtest.h>

#include "common/dns/limits.h"

namespace postern::dns {
namespace {

using std::string_literals::operator""s;

std::string Label(size_t octets) { return std::string(octets, 'a'); }
// 63.63.63.last: 3 * 64 + last + 1 and the root.
std::string LongName(size_t last) {
  return Label(63) + "." + Label(63) + "." + Label(63) + "." + Label(last);
}

TEST(Name, TextBecomesWireFormAndTextAgain) {
  const struct {
    const char* text;
    std::string wire;
    const char* again;
  } rows[] = {
      {".", "\0"s, "."},
      {"example.org", "\7example\3org\0"s, "example.org"},
      {"example.org.", "\7example\3org\0"s, "example.org"},
      {"MX.Example.Org", "\2MX\7Example\3Org\0"s, "MX.Example.Org"},
      {"_25._tcp.mx", "\3_25\4_tcp\2mx\0"s, "_25._tcp.mx"},
      {R"(a\.b.c)", "\3a.b\1c\0"s, R"(a\.b.c)"},
      {R"(a\\b)", "\3a\\b\0"s, R"(a\\b)"},
      {R"(a\000b)", "\3a\0b\0"s, R"(a\000b)"},
      {R"(\255\032)", "\2\xFF \0"s, R"(\255\032)"},
      {R"(\x)", "\1x\0"s, "x"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const Parsed<Name> name = Name::FromText(row.text);
    ASSERT_TRUE(name.has_value());
    EXPECT_EQ(name->wire(), row.wire);
    EXPECT_EQ(name->ToText(), row.again);
  }
}

TEST(Name, BrokenTextIsRefused) {
  const struct {
    std::string text, reason;
  } rows[] = {
      {"", "name is empty"},
      {"..", "name has an empty label"},
      {".a", "name has an empty label"},
      {"a..b", "name has an empty label"},
      {"a..", "name has an empty label"},
      {"a\\", "name has a broken escape"},
      {"a\\1", "name has a broken escape"},
      {"a\\12x", "name has a broken escape"},
      {"a\\256", "name has a broken escape"},
      {Label(64), "label is longer than 63 octets"},
      {LongName(62), "name is longer than 255 octets"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const Parsed<Name> name = Name::FromText(row.text);
    ASSERT_FALSE(name.has_value());
    EXPECT_EQ(name.error().reason, row.reason);
  }
}

TEST(Name, LongestLabelAndLongestNameAreTaken) {
  EXPECT_TRUE(Name::FromText(Label(63)).has_value());
  const Parsed<Name> longest = Name::FromText(LongName(61));
  ASSERT_TRUE(longest.has_value());
  EXPECT_EQ(longest->wire().size(), kMaxNameOctets);
}

TEST(Name, CompressionIsFollowedAndTheOffsetIsBehindThePointer) {
  // 0: "org" 5: "example" -> 0, 15: "mx" -> 5, 20: end
  const std::string message = "\3org\0\7example\xC0\0\2mx\xC0\5X"s;
  size_t offset = 15;
  const Parsed<Name> name = Name::Read(message, offset);
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->ToText(), "mx.example.org");
  EXPECT_EQ(offset, 20u);
}

TEST(Name, BrokenWireFormsAreRefused) {
  const struct {
    const char* label;
    std::string message;
    size_t offset;
    const char* reason;
  } rows[] = {
      {"nothing", "", 0, "message ends within a name"},
      {"no root", "\1a", 0, "message ends within a name"},
      {"label cut off", "\5abc", 0, "message ends within a name"},
      {"pointer cut off", "\xC0", 0, "message ends within a name"},
      {"pointer to itself", "\xC0\0"s, 0, "name points forward"},
      {"pointer into itself", "\1a\xC0\0"s, 0, "name points forward"},
      {"pointer forward", "\xC0\2\0"s, 0, "name points forward"},
      {"two that point at each other", "\xC0\2\xC0\0"s, 2, "name points forward"},
      {"label type 01", "\x41" + std::string(70, 'a'), 0, "name has a label of unknown type"},
      {"label type 10", "\x81" + std::string(70, 'a'), 0, "name has a label of unknown type"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.label);
    size_t offset = row.offset;
    const Parsed<Name> name = Name::Read(row.message, offset);
    ASSERT_FALSE(name.has_value());
    EXPECT_EQ(name.error().reason, row.reason);
    EXPECT_EQ(offset, row.offset);
  }
}

// `pointers` of them, each to the one before, the first to the root.
std::string PointerChain(int pointers) {
  std::string message(1, '\0');
  for (int i = 0; i < pointers; ++i) {
    const size_t target = i == 0 ? 0 : 1 + static_cast<size_t>(i - 1) * 2;
    message += static_cast<char>(0xC0 | target >> 8);
    message += static_cast<char>(target & 0xFF);
  }
  return message;
}

TEST(Name, PointersAreBounded) {
  const std::string most = PointerChain(kMaxPointerHops);
  size_t offset = most.size() - 2;
  EXPECT_TRUE(Name::Read(most, offset).has_value());
  const std::string too_many = PointerChain(kMaxPointerHops + 1);
  offset = too_many.size() - 2;
  const Parsed<Name> refused = Name::Read(too_many, offset);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, "name has too many pointers");
}

TEST(Name, LengthIsBoundedAlsoThroughPointers) {
  // 190 octets of labels and the root at 0, then a label and a pointer to them.
  std::string head;
  for (int i = 0; i < 3; ++i) head += "\x3F" + Label(63);
  head += '\0';
  for (const size_t last : {size_t{61}, size_t{62}}) {
    const std::string message = head + static_cast<char>(last) + Label(last) + "\xC0\0"s;
    size_t offset = head.size();
    EXPECT_EQ(Name::Read(message, offset).has_value(), last == 61) << last;
  }
}

TEST(Name, CaseDoesNotCount) {
  const Name upper = *Name::FromText("EXAMPLE.Org");
  const Name lower = *Name::FromText("example.org");
  EXPECT_EQ(upper, lower);
  EXPECT_NE(upper.wire(), lower.wire());
  EXPECT_EQ(upper.Lower().wire(), lower.wire());
  EXPECT_NE(lower, *Name::FromText("example.net"));
  EXPECT_NE(*Name::FromText("a.b"), *Name::FromText(R"(a\.b)"));
}

TEST(Name, KnowsWhatItIsWithin) {
  const Name name = *Name::FromText("a.Example.org");
  EXPECT_TRUE(name.IsWithin(*Name::FromText("example.ORG")));
  EXPECT_TRUE(name.IsWithin(name));
  EXPECT_TRUE(name.IsWithin(Name()));
  EXPECT_FALSE(name.IsWithin(*Name::FromText("ample.org")));
  EXPECT_FALSE(name.IsWithin(*Name::FromText("b.a.example.org")));
  EXPECT_EQ(name.label_count(), 3u);
  EXPECT_EQ(Name().label_count(), 0u);
}

}  // namespace
}  // namespace postern::dns
