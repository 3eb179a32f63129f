#include "tools/sendmail/message.h"

#include <gtest/gtest.h>

namespace postern::sendmail {
namespace {

using Words = std::vector<std::string>;

const Draft kPlain{.take_recipients = false,
                   .dots_are_text = false,
                   .full_name = {},
                   .own_address = "me@host",
                   .unix_seconds = 1795510800,
                   .unique = "unique@host"};
Draft With(bool take_recipients, bool dots_are_text) {
  Draft draft = kPlain;
  draft.take_recipients = take_recipients;
  draft.dots_are_text = dots_are_text;
  return draft;
}
constexpr char kAdded[] =
    "From: me@host\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <unique@host>\r\n";
constexpr char kOwn[] = "From: a@x\r\nDate: d\r\nMessage-ID: <m>\r\n";

TEST(Prepare, CompletesTheHeaderAndHidesBcc) {
  const Prepared mail =
      Prepare("To: a@x\nBcc: b@y,\n c@z\nSubject: s\n\nbody\n.\nafter\n", With(true, false));
  EXPECT_EQ(mail.addresses, (Words{"a@x", "b@y", "c@z"}));
  EXPECT_EQ(mail.content, std::string("To: a@x\r\nSubject: s\r\n") + kAdded + "\r\nbody\r\n");
}

TEST(Prepare, AddsNothingThatIsThere) {
  const Prepared mail =
      Prepare("FROM: a@x\nDate : d\nmessage-id: <m>\n\nbody\n", With(false, false));
  EXPECT_EQ(mail.content, "FROM: a@x\r\nDate : d\r\nmessage-id: <m>\r\n\r\nbody\r\n");
  EXPECT_TRUE(mail.addresses.empty());
}

TEST(Prepare, ALoneDotEndsTheMessageUnlessItIsText) {
  EXPECT_EQ(Prepare("\na\n.\nb\n", With(false, false)).content, std::string(kAdded) + "\r\na\r\n");
  EXPECT_EQ(Prepare("\na\n.\nb\n", With(false, true)).content,
            std::string(kAdded) + "\r\na\r\n.\r\nb\r\n");
  EXPECT_EQ(Prepare("\na\n..\nb\n", With(false, false)).content,
            std::string(kAdded) + "\r\na\r\n..\r\nb\r\n");
}

TEST(Prepare, EveryKindOfNewlineBecomesCrlf) {
  for (const char* text : {"\na\nb", "\r\na\r\nb\r\n", "\r\r\na\r\r\nb\r\r\n", "\ra\rb\r"}) {
    EXPECT_EQ(Prepare(text, With(false, false)).content, std::string(kAdded) + "\r\na\r\nb\r\n");
  }
  EXPECT_EQ(Prepare("\na\n\n\nb\n", With(false, false)).content,
            std::string(kAdded) + "\r\na\r\n\r\n\r\nb\r\n");
}

TEST(Prepare, TextWithoutAHeaderIsABody) {
  EXPECT_EQ(Prepare("hello world\n", With(false, false)).content,
            std::string(kAdded) + "\r\nhello world\r\n");
  EXPECT_EQ(Prepare("", With(false, false)).content, std::string(kAdded) + "\r\n");
}

TEST(Prepare, TheLineInFrontThatMboxHasGoes) {
  EXPECT_EQ(
      Prepare("From me Tue Nov 24 09:00:00 2026\nSubject: s\n\nFrom here on\n", With(false, false))
          .content,
      std::string("Subject: s\r\n") + kAdded + "\r\nFrom here on\r\n");
}

TEST(Prepare, ResentFieldsAloneNameTheRecipientsIfThereAreAny) {
  const Prepared mail =
      Prepare("Resent-To: r@x\nResent-Bcc: s@x\nTo: a@x\nBcc: b@x\n\n", With(true, false));
  EXPECT_EQ(mail.addresses, (Words{"r@x", "s@x"}));
  EXPECT_EQ(mail.content.find("Bcc"), std::string::npos);
}

TEST(Prepare, AFieldInTheBodyIsText) {
  const Prepared mail = Prepare("To: a@x\n\nBcc: b@y\n", With(true, false));
  EXPECT_EQ(mail.addresses, Words{"a@x"});
  EXPECT_NE(mail.content.find("\r\n\r\nBcc: b@y\r\n"), std::string::npos);
}

TEST(Prepare, SaysWhatTheMessageNeedsOnItsWay) {
  const std::string own = kOwn;
  const struct {
    std::string text;
    bool has_8bit;
    bool utf8_header;
  } rows[] = {
      {own + "\nplain\n", false, false},
      {own + "\n\xc3\xbc\n", true, false},
      {own + "Subject: \xc3\xbc\n\nplain\n", true, true},
      {own + "Subject: \xfc\n\nplain\n", true, false},  // Latin-1: nothing SMTPUTF8 is for
  };
  for (const auto& row : rows) {
    const Prepared mail = Prepare(row.text, With(false, false));
    EXPECT_EQ(mail.has_8bit, row.has_8bit) << row.text;
    EXPECT_EQ(mail.utf8_header, row.utf8_header) << row.text;
  }
}

TEST(FromField, NamesAreQuotedOrEncoded) {
  const struct {
    const char* name;
    const char* field;
  } rows[] = {
      {"", "From: a@x\r\n"},
      {"Me, Myself", "From: \"Me, Myself\" <a@x>\r\n"},
      {"a \"b\" \\c", "From: \"a \\\"b\\\" \\\\c\" <a@x>\r\n"},
      {"x\r\nBcc: b@y", "From: \"x Bcc: b@y\" <a@x>\r\n"},
      {"J\xc3\xbcrgen", "From: =?UTF-8?B?SsO8cmdlbg==?= <a@x>\r\n"},
      {"\xff", "From: \"?\" <a@x>\r\n"},
  };
  for (const auto& row : rows) EXPECT_EQ(FromField(row.name, "a@x"), row.field) << row.name;
}

TEST(FromField, LongNamesBecomeSeveralWordsThatCutNoCharacter) {
  std::string name;
  for (int i = 0; i < 40; ++i) name += "\xe2\x82\xac";
  const std::string field = FromField(name, "a@x");
  size_t words = 0;
  for (size_t at = 0; (at = field.find("=?UTF-8?B?", at)) != std::string::npos; ++at) ++words;
  EXPECT_EQ(words, 3u);  // 15 characters of three octets each
  EXPECT_EQ(field.find("=?="), std::string::npos) << "45 octets need no padding: " << field;
}

}  // namespace
}  // namespace postern::sendmail
