#include "common/smtp/address.h"

#include <gtest/gtest.h>

#include <string>

#include "common/smtp/limits.h"

namespace postern::smtp {
namespace {

std::string Repeat(std::string_view text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

struct Row {
  const char* what;
  std::string text;
  bool good;
  std::string printed = "";  // empty: as given
  Utf8 utf8 = Utf8::kRefused;
};

// A domain of exactly `octets`, in labels of 63 at most.
std::string DomainOf(size_t octets) {
  std::string domain;
  while (octets - domain.size() > 64) domain += std::string(63, 'd') + '.';
  return domain + std::string(octets - domain.size(), 'd');
}

TEST(Mailbox, IsParsedStrictly) {
  const Row rows[] = {
      {"plain", "user@example.org", true},
      {"all atext", "!#$%&'*+-/=?^_`{|}~a0@example.org", true},
      {"dots", "a.b.c@example.org", true},
      {"domain is lowered", "User@EXAMPLE.Org", true, "User@example.org"},
      {"one label", "u@localhost", true},
      {"underscore in domain", "u@a_b.example", true},
      {"numeric top level", "u@example.1", true},
      {"dot at start", ".a@b.example", false},
      {"dot at end", "a.@b.example", false},
      {"two dots", "a..b@c.example", false},
      {"empty local part", "@c.example", false},
      {"no at", "user", false},
      {"empty", "", false},
      {"empty domain", "a@", false},
      {"dot at domain's end", "a@b.", false},
      {"dot at domain's start", "a@.b", false},
      {"two dots in domain", "a@b..c", false},
      {"hyphen at label's start", "a@-b.example", false},
      {"hyphen at label's end", "a@b-.example", false},
      {"hyphen at name's end", "a@example-", false},
      {"two ats", "a@b@c.example", false},
      {"space", "a b@c.example", false},
      {"space behind", "a@c.example ", false},
      {"comment", "a(b)@c.example", false},
      {"NUL", std::string("a\0b@c.example", 13), false},
      {"NUL in domain", std::string("a@c\0.example", 12), false},
      {"CRLF", "a\r\nb@c.example", false},
      {"quoted, needlessly", "\"a.b\"@c.example", true, "a.b@c.example"},
      {"quoted space", "\"a b\"@c.example", true},
      {"quoted empty", "\"\"@c.example", true},
      {"quoted pair, needlessly", "\"a\\b\"@c.example", true, "ab@c.example"},
      {"quoted quote", "\"a\\\"b\"@c.example", true},
      {"quoted backslash", "\"a\\\\b\"@c.example", true},
      {"quoted at", "\"a@b\"@c.example", true},
      {"quoted bracket", "\"a>b\"@c.example", true},
      {"quoted dots", "\"a..b\"@c.example", true},
      {"quote does not end", "\"ab@c.example", false},
      {"backslash at the end", "\"ab\\", false},
      {"control in quotes", "\"a\tb\"@c.example", false},
      {"DEL in quotes", "\"a\x7f\"@c.example", false},
      {"atom behind quotes", "\"a\"b@c.example", false},
      {"IPv4", "a@[192.0.2.1]", true},
      {"IPv4 too large", "a@[192.0.2.256]", false},
      {"IPv4 with leading zero", "a@[192.0.2.01]", false},
      {"IPv4 too short", "a@[192.0.2]", false},
      {"IPv6", "a@[IPv6:2001:db8::1]", true},
      {"IPv6, other spelling", "a@[ipv6:2001:DB8:0:0:0:0:0:1]", true, "a@[IPv6:2001:db8::1]"},
      {"IPv6, mapped", "a@[IPv6:::FFFF:192.0.2.1]", true, "a@[IPv6:::ffff:192.0.2.1]"},
      {"IPv6 without tag", "a@[2001:db8::1]", false},
      {"IPv4 with tag", "a@[IPv6:192.0.2.1]", false},
      {"general literal, unregistered", "a@[x400:whatever]", false},
      {"literal does not end", "a@[192.0.2.1", false},
      {"behind the literal", "a@[192.0.2.1]x", false},
      {"UTF-8 without SMTPUTF8", "\xc3\xbc@example.org", false},
      {"UTF-8", "\xc3\xbc@example.org", true, "", Utf8::kAllowed},
      {"UTF-8 quoted", "\"\xc3\xbc b\"@example.org", true, "", Utf8::kAllowed},
      {"UTF-8 domain",
       "a@b\xc3\xbc"
       "cher.example",
       true, "", Utf8::kAllowed},
      {"UTF-8 domain without SMTPUTF8",
       "a@b\xc3\xbc"
       "cher.example",
       false},
      {"broken UTF-8", "\xc3@example.org", false, "", Utf8::kAllowed},
      {"overlong UTF-8", "\xc0\xafx@example.org", false, "", Utf8::kAllowed},
      {"surrogate", "\xed\xa0\x80@example.org", false, "", Utf8::kAllowed},
      {"escaped UTF-8", "\"\\\xc3\xbc\"@example.org", false, "", Utf8::kAllowed},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    const Parsed<Mailbox> mailbox = ParseMailbox(row.text, row.utf8);
    ASSERT_EQ(mailbox.has_value(), row.good);
    if (!row.good) {
      EXPECT_FALSE(mailbox.error().reason.empty());
      continue;
    }
    EXPECT_EQ(mailbox->ToString(), row.printed.empty() ? row.text : row.printed);
    // What is printed means the same.
    EXPECT_EQ(ParseMailbox(mailbox->ToString(), row.utf8), mailbox);
  }
}

TEST(Mailbox, LimitsAreExact) {
  const std::string d63(63, 'd');
  EXPECT_TRUE(ParseMailbox(std::string(64, 'l') + "@d", Utf8::kRefused).has_value());
  EXPECT_FALSE(ParseMailbox(std::string(65, 'l') + "@d", Utf8::kRefused).has_value());
  EXPECT_TRUE(ParseMailbox('"' + std::string(61, ' ') + "\"@d", Utf8::kRefused).has_value());
  EXPECT_TRUE(ParseMailbox('"' + std::string(62, ' ') + "\"@d", Utf8::kRefused).has_value());
  EXPECT_FALSE(ParseMailbox('"' + std::string(63, ' ') + "\"@d", Utf8::kRefused).has_value());
  EXPECT_TRUE(ParseMailbox("a@" + d63, Utf8::kRefused).has_value());
  EXPECT_FALSE(ParseMailbox("a@" + d63 + 'd', Utf8::kRefused).has_value());
  // A path is 256 with its brackets, so an address 254.
  EXPECT_TRUE(ParseMailbox("a@" + DomainOf(252), Utf8::kRefused).has_value());
  EXPECT_FALSE(ParseMailbox("a@" + DomainOf(253), Utf8::kRefused).has_value());
  // Octets count, not characters.
  EXPECT_TRUE(ParseMailbox(Repeat("\xc3\xbc", 32) + "@d", Utf8::kAllowed).has_value());
  EXPECT_FALSE(ParseMailbox(Repeat("\xc3\xbc", 33) + "@d", Utf8::kAllowed).has_value());
}

TEST(Mailbox, KnowsItsKindOfDomain) {
  EXPECT_EQ(ParseMailbox("a@b.example", Utf8::kRefused)->domain_kind(), DomainKind::kName);
  EXPECT_EQ(ParseMailbox("a@[192.0.2.1]", Utf8::kRefused)->domain_kind(), DomainKind::kIpv4Literal);
  EXPECT_EQ(ParseMailbox("a@[IPv6:::1]", Utf8::kRefused)->domain_kind(), DomainKind::kIpv6Literal);
  EXPECT_TRUE(ParseMailbox("a@[IPv6:::1]", Utf8::kRefused)->is_literal());
  EXPECT_FALSE(ParseMailbox("a@b.example", Utf8::kRefused)->is_literal());
}

TEST(Mailbox, SaysWhetherItNeedsUtf8) {
  EXPECT_FALSE(ParseMailbox("a@b.example", Utf8::kAllowed)->needs_utf8());
  EXPECT_TRUE(ParseMailbox("\xc3\xbc@b.example", Utf8::kAllowed)->needs_utf8());
  EXPECT_TRUE(ParseMailbox("a@\xc3\xbc.example", Utf8::kAllowed)->needs_utf8());
}

TEST(DomainName, LimitsAreExact) {
  EXPECT_TRUE(IsDomainName(DomainOf(255), Utf8::kRefused));
  EXPECT_FALSE(IsDomainName(DomainOf(256), Utf8::kRefused));
  EXPECT_FALSE(IsDomainName("", Utf8::kRefused));
  EXPECT_FALSE(IsDomainName("a.", Utf8::kRefused));
}

TEST(Path, SourceRoutesAreReadAndDropped) {
  struct {
    const char* text;
    const char* address;  // null: malformed
  } const rows[] = {
      {"<@a,@b:u@c>", "u@c"},
      {"<@a:u@c>", "u@c"},
      {"<@us.example:victim@elsewhere.example>", "victim@elsewhere.example"},
      {"<@a,b:u@c>", nullptr},
      {"<@a,@b,u@c>", nullptr},
      {"<@a:@b:u@c>", nullptr},
      {"<@:u@c>", nullptr},
      {"<@a u@c>", nullptr},
      {"<@a,@b:>", nullptr},
      {"<@a>", nullptr},
      {"<u@c", nullptr},
      {"u@c", nullptr},
      {"< u@c>", nullptr},
      {"<u@c >", nullptr},
      {"", nullptr},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    std::string_view text = row.text;
    const Parsed<ForwardPath> path = TakeForwardPath(text, Utf8::kRefused);
    ASSERT_EQ(path.has_value(), row.address != nullptr);
    if (row.address == nullptr) {
      EXPECT_EQ(text, row.text) << "the text stays on failure";
      continue;
    }
    EXPECT_EQ(path->ToString(), row.address);
    EXPECT_TRUE(text.empty());
    std::string_view again = row.text;
    EXPECT_EQ(TakeReversePath(again, Utf8::kRefused)->ToString(), row.address);
  }
}

TEST(Path, TakesNoMoreThanItself) {
  std::string_view text = "<a@b> SIZE=1";
  EXPECT_TRUE(TakeReversePath(text, Utf8::kRefused).has_value());
  EXPECT_EQ(text, " SIZE=1");
  text = "<\"a>b\"@c>x";
  EXPECT_TRUE(TakeForwardPath(text, Utf8::kRefused).has_value());
  EXPECT_EQ(text, "x");
}

TEST(Path, LengthIsLimitedWithItsBrackets) {
  const std::string fits = "<a@" + DomainOf(252) + '>';
  ASSERT_EQ(fits.size(), kMaxPath);
  std::string_view text = fits;
  EXPECT_TRUE(TakeForwardPath(text, Utf8::kRefused).has_value());
  const std::string longer = "<ab@" + DomainOf(252) + '>';
  text = longer;
  EXPECT_FALSE(TakeForwardPath(text, Utf8::kRefused).has_value());
}

TEST(Path, NullIsForReversePathsAlone) {
  std::string_view text = "<>";
  const Parsed<ReversePath> path = TakeReversePath(text, Utf8::kRefused);
  ASSERT_TRUE(path.has_value());
  EXPECT_TRUE(path->null);
  EXPECT_EQ(path->ToPath(), "<>");
  text = "<>";
  EXPECT_FALSE(TakeForwardPath(text, Utf8::kRefused).has_value());
}

TEST(Path, PostmasterNeedsNoDomain) {
  for (const char* spelling : {"<Postmaster>", "<postmaster>", "<POSTMASTER>"}) {
    std::string_view text = spelling;
    const Parsed<ForwardPath> path = TakeForwardPath(text, Utf8::kRefused);
    ASSERT_TRUE(path.has_value()) << spelling;
    EXPECT_TRUE(path->postmaster);
    EXPECT_EQ(path->ToPath(), "<postmaster>");
    EXPECT_TRUE(text.empty());
  }
  std::string_view text = "<postmaster2>";
  EXPECT_FALSE(TakeForwardPath(text, Utf8::kRefused).has_value());
  text = "<Postmaster>";
  EXPECT_FALSE(TakeReversePath(text, Utf8::kRefused).has_value());
  EXPECT_TRUE(IsPostmaster(*ParseMailbox("PostMaster@x.example", Utf8::kRefused)));
  EXPECT_FALSE(IsPostmaster(*ParseMailbox("post@x.example", Utf8::kRefused)));
}

TEST(Path, ParsingIsTheInverseOfPrinting) {
  EXPECT_TRUE(ParseReversePath("", Utf8::kRefused)->null);
  EXPECT_EQ(ParseReversePath("a@b", Utf8::kRefused)->mailbox.domain, "b");
  EXPECT_FALSE(ParseReversePath("a@", Utf8::kRefused).has_value());
  EXPECT_TRUE(ParseForwardPath("postmaster", Utf8::kRefused)->postmaster);
  EXPECT_EQ(ParseForwardPath("a@b", Utf8::kRefused)->ToPath(), "<a@b>");
  EXPECT_FALSE(ParseForwardPath("", Utf8::kRefused).has_value());
  EXPECT_FALSE(ParseForwardPath("<a@b>", Utf8::kRefused).has_value());
}

TEST(Mailbox, RoutesInTheLocalPartAreFound) {
  for (const char* routed :
       {"victim%elsewhere@us", "elsewhere!victim@us", "\"victim@elsewhere\"@us", "\"a\\%b\"@us"}) {
    EXPECT_TRUE(HasRoutedLocalPart(*ParseMailbox(routed, Utf8::kRefused))) << routed;
  }
  EXPECT_FALSE(HasRoutedLocalPart(*ParseMailbox("a+b=c@us", Utf8::kRefused)));
}

}  // namespace
}  // namespace postern::smtp
