// The isemail vectors (tests/data/isemail): every case agrees, or is listed here with its reason.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "common/smtp/address.h"

namespace postern::smtp {
namespace {

// Case by id where our answer is another one, and why.
const std::map<int, std::string> kOtherwise = {
    {71,
     "\"::\" for a single group: RFC 5321 §4.1.3 wants two at least, RFC 4291 §2.2 allows it and "
     "some programs print it so; which address is meant is clear"},
};

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// The text of the first <tag> in `xml`, entities resolved; empty if there is none.
std::string Element(const std::string& xml, const std::string& tag) {
  const size_t begin = xml.find('<' + tag + '>');
  if (begin == xml.npos) return "";
  const size_t from = begin + tag.size() + 2;
  std::string text = xml.substr(from, xml.find("</" + tag + '>', from) - from);
  // U+2400+n stands for control octet n; U+2421 for DEL.
  for (int n = 0; n < 32; ++n) {
    const char picture[] = {'\xe2', '\x90', static_cast<char>(0x80 + n), '\0'};
    ReplaceAll(text, picture, std::string(1, static_cast<char>(n)));
    ReplaceAll(text, "&#x" + std::to_string(2400 + n) + ';', std::string(1, static_cast<char>(n)));
  }
  ReplaceAll(text, "\xe2\x90\xa1", "\x7f");
  ReplaceAll(text, "&lt;", "<");
  ReplaceAll(text, "&gt;", ">");
  ReplaceAll(text, "&quot;", "\"");
  ReplaceAll(text, "&amp;", "&");
  return text;
}

TEST(Isemail, EveryCaseAgrees) {
  std::ifstream file(ISEMAIL_TESTS);
  ASSERT_TRUE(file.is_open()) << ISEMAIL_TESTS;
  const std::string xml((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  int cases = 0;
  for (size_t at = xml.find("<test id="); at != xml.npos; at = xml.find("<test id=", at + 1)) {
    const std::string one = xml.substr(at, xml.find("</test>", at) - at);
    const int id = std::stoi(one.substr(10));
    const std::string address = Element(one, "address");
    const std::string category = Element(one, "category");
    const bool expected = category == "ISEMAIL_VALID_CATEGORY" || category == "ISEMAIL_DNSWARN" ||
                          category == "ISEMAIL_RFC5321";
    const bool valid = ParseMailbox(address, Utf8::kRefused).has_value();
    const bool listed = kOtherwise.contains(id);
    EXPECT_EQ(valid == expected, !listed)
        << "case " << id << ": " << testing::PrintToString(address) << ' '
        << Element(one, "diagnosis");
    ++cases;
  }
  EXPECT_EQ(cases, 125);
}

}  // namespace
}  // namespace postern::smtp
