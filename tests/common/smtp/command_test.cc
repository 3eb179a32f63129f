#include "common/smtp/command.h"

#include <gtest/gtest.h>

#include <string>

#include "common/smtp/limits.h"

namespace postern::smtp {
namespace {

using Kind = CommandError::Kind;

template <class C>
C Good(std::string_view line, const CommandContext& context = {}) {
  const auto command = ParseCommand(line, context);
  if (!command.has_value()) {
    ADD_FAILURE() << line << ": " << command.error().reason;
    return C{};
  }
  if (!std::holds_alternative<C>(*command)) {
    ADD_FAILURE() << line << " is another command";
    return C{};
  }
  return std::get<C>(*command);
}

void ExpectBad(std::string_view line, Kind kind, const CommandContext& context = {}) {
  const auto command = ParseCommand(line, context);
  ASSERT_FALSE(command.has_value()) << line;
  EXPECT_EQ(command.error().kind, kind) << line << ": " << command.error().reason;
  EXPECT_FALSE(command.error().reason.empty());
}

TEST(Command, VerbsAreKnownInAnyCaseAndWithWhiteSpaceBehind) {
  Good<Data>("DATA");
  Good<Data>("dAtA");
  Good<Data>("DATA  \t");
  Good<Rset>("rset");
  Good<Quit>("quit ");
  Good<Noop>("NOOP");
  Good<Noop>("NOOP whatever it says");
  Good<StartTls>("STARTTLS");
  EXPECT_EQ(Good<Help>("HELP").topic, "");
  EXPECT_EQ(Good<Help>("HELP MAIL").topic, "MAIL");
  EXPECT_EQ(Good<Vrfy>("VRFY user@example.org").who, "user@example.org");
  EXPECT_EQ(Good<Expn>("EXPN the list").list, "the list");
  EXPECT_EQ(Good<Etrn>("ETRN example.org").node, "example.org");
}

TEST(Command, WhatIsNoneIsUnrecognized) {
  for (const char* line : {"", " ", "X", "MAILFROM:<a@b>", "DATAX", "DAT", " DATA", "EHLO\tx",
                           "STARTTLSX", "\x80\x81", "GETX / HTTP/1.1"}) {
    ExpectBad(line, Kind::kUnrecognized);
  }
  ExpectBad(std::string_view("DATA\0", 5), Kind::kUnrecognized);
}

TEST(Command, WordsForPeopleHoldNoControlCharacters) {
  for (const char* line : {"NOOP \x01", "HELP \x7f", "VRFY a\rb", "EXPN \x80", "ETRN \x1b[2J"})
    ExpectBad(line, Kind::kSyntax);
  ExpectBad(std::string_view("NOOP a\0b", 8), Kind::kSyntax);
  Good<Noop>("NOOP \xc3\xbc \t x");
}

TEST(Command, ArgumentsWhereNoneBelongAreSyntaxErrors) {
  for (const char* line : {"DATA x", "RSET x", "QUIT now", "STARTTLS x", "VRFY", "EXPN", "ETRN",
                           "EHLO", "HELO", "AUTH", "BDAT"}) {
    ExpectBad(line, Kind::kSyntax);
  }
  ExpectBad("VRFY a\x01", Kind::kSyntax);
  ExpectBad("VRFY \xff", Kind::kSyntax);
  ExpectBad("HELP a\rb", Kind::kSyntax);
}

TEST(Command, ThoseOfRfc821AloneAreObsolete) {
  for (const char* line : {"SEND FROM:<a@b>", "soml from:<a@b>", "SAML FROM:<a@b>", "TURN"}) {
    Good<Obsolete>(line);
  }
}

TEST(Command, OtherProtocolsAreTold) {
  for (const char* line : {"GET / HTTP/1.1", "POST /x HTTP/1.0", "CONNECT a:25 HTTP/1.1", "PUT x",
                           "OPTIONS * HTTP/1.1", "HEAD /", "DELETE /", "USER anonymous"}) {
    Good<Foreign>(line);
  }
}

TEST(Hello, TakesWhatClientsSay) {
  struct {
    const char* line;
    const char* name;
    bool extended;
    bool well_formed;
  } const rows[] = {
      {"EHLO mx.example.org", "mx.example.org", true, true},
      {"HELO mx", "mx", false, true},
      {"ehlo [192.0.2.1]", "[192.0.2.1]", true, true},
      {"EHLO [IPv6:2001:db8::1]", "[IPv6:2001:db8::1]", true, true},
      {"EHLO  mx", "mx", true, true},
      {"EHLO b\xc3\xbc"
       "cher.example",
       "b\xc3\xbc"
       "cher.example",
       true, true},
      {"EHLO 192.0.2.1", "192.0.2.1", true, true},
      {"EHLO [192.0.2.1", "[192.0.2.1", true, false},
      {"EHLO my(pc)", "my(pc)", true, false},
      {"HELO WIN-", "WIN-", false, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.line);
    const Hello hello = Good<Hello>(row.line);
    EXPECT_EQ(hello.name, row.name);
    EXPECT_EQ(hello.extended, row.extended);
    EXPECT_EQ(hello.well_formed, row.well_formed);
  }
  ExpectBad("EHLO a b", Kind::kSyntax);
  ExpectBad("EHLO a\x01", Kind::kSyntax);
  ExpectBad("EHLO \xff", Kind::kSyntax);
  Good<Hello>("EHLO " + std::string(255, '-'));
  ExpectBad("EHLO " + std::string(256, '-'), Kind::kSyntax);
}

TEST(Mail, Paths) {
  EXPECT_TRUE(Good<Mail>("MAIL FROM:<>").from.null);
  EXPECT_EQ(Good<Mail>("MAIL FROM:<a@b>").from.ToString(), "a@b");
  EXPECT_EQ(Good<Mail>("mail from:<a@B>").from.ToString(), "a@b");
  EXPECT_EQ(Good<Mail>("MAIL  FROM:<a@b>").from.ToString(), "a@b");
  EXPECT_EQ(Good<Mail>("MAIL FROM: <a@b>").from.ToString(), "a@b");
  EXPECT_EQ(Good<Mail>("MAIL FROM:<a@b> ").from.ToString(), "a@b");
  EXPECT_EQ(Good<Mail>("MAIL FROM:<@x,@y:a@b>").from.ToString(), "a@b");
  EXPECT_EQ(Good<Mail>("MAIL FROM:<\"a b\"@b>").from.ToString(), "\"a b\"@b");
  ExpectBad("MAIL", Kind::kSyntax);
  ExpectBad("MAIL <a@b>", Kind::kSyntax);
  ExpectBad("MAIL FROM <a@b>", Kind::kSyntax);
  ExpectBad("MAIL FROM :<a@b>", Kind::kSyntax);
  ExpectBad("MAIL TO:<a@b>", Kind::kSyntax);
  for (const char* line : {"MAIL FROM:", "MAIL FROM:a@b", "MAIL FROM:<a>", "MAIL FROM:<a@b",
                           "MAIL FROM:  <a@b>", "MAIL FROM:<a@>", "MAIL FROM:<Postmaster>",
                           "MAIL FROM:<a@b>>x", "MAIL FROM:<<a@b>>", "MAIL FROM:< >"}) {
    const auto command = ParseCommand(line, {});
    ASSERT_FALSE(command.has_value()) << line;
  }
  ExpectBad("MAIL FROM:a@b", Kind::kSenderSyntax);
  ExpectBad("MAIL FROM:<a@b>SIZE=1", Kind::kParameterSyntax);
}

TEST(Mail, Size) {
  EXPECT_FALSE(Good<Mail>("MAIL FROM:<> ").size_octets.has_value());
  EXPECT_EQ(Good<Mail>("MAIL FROM:<> SIZE=0").size_octets, 0u);
  EXPECT_EQ(Good<Mail>("MAIL FROM:<>  size=1234  ").size_octets, 1234u);
  EXPECT_EQ(Good<Mail>("MAIL FROM:<> SIZE=18446744073709551615").size_octets, ~uint64_t{0});
  EXPECT_EQ(Good<Mail>("MAIL FROM:<> SIZE=18446744073709551616").size_octets, ~uint64_t{0});
  EXPECT_EQ(Good<Mail>("MAIL FROM:<> SIZE=99999999999999999999").size_octets, ~uint64_t{0});
  for (const char* value : {"SIZE", "SIZE=", "SIZE=-1", "SIZE=1x", "SIZE=+1",
                            "SIZE=999999999999999999999", "SIZE=1 SIZE=1", "SIZE=1 size=2"}) {
    ExpectBad(std::string("MAIL FROM:<> ") + value, Kind::kParameterSyntax);
  }
}

TEST(Mail, Body) {
  EXPECT_FALSE(Good<Mail>("MAIL FROM:<>").body.has_value());
  EXPECT_EQ(Good<Mail>("MAIL FROM:<> BODY=7BIT").body, BodyType::kSevenBit);
  EXPECT_EQ(Good<Mail>("MAIL FROM:<> body=8bitmime").body, BodyType::kEightBit);
  EXPECT_EQ(Good<Mail>("MAIL FROM:<> BODY=BINARYMIME").body, BodyType::kBinary);
  ExpectBad("MAIL FROM:<> BODY=9BIT", Kind::kParameterSyntax);
  ExpectBad("MAIL FROM:<> BODY", Kind::kParameterSyntax);
  ExpectBad("MAIL FROM:<> BODY=BINARYMIME", Kind::kParameterNotAllowed, {.binary_offered = false});
}

TEST(Mail, DeliveryStatusParameters) {
  const Mail mail = Good<Mail>("MAIL FROM:<a@b> RET=HDRS ENVID=QQ+2B314159");
  EXPECT_EQ(mail.ret, Return::kHeaders);
  EXPECT_EQ(mail.envid, "QQ+314159");
  EXPECT_EQ(Good<Mail>("MAIL FROM:<a@b> ret=full").ret, Return::kFull);
  EXPECT_EQ(Good<Mail>("MAIL FROM:<a@b>").ret, Return::kNotGiven);
  EXPECT_EQ(Good<Mail>("MAIL FROM:<> ENVID=" + std::string(100, 'x')).envid, std::string(100, 'x'));
  for (const std::string& value :
       {std::string("RET=ALL"), std::string("RET"), std::string("ENVID="), std::string("ENVID"),
        std::string("ENVID=a+0Ab"), std::string("ENVID=a+zz"), std::string("ENVID=a=b"),
        "ENVID=" + std::string(101, 'x')}) {
    ExpectBad("MAIL FROM:<> " + value, Kind::kParameterSyntax);
  }
}

TEST(Mail, AuthParameter) {
  const CommandContext context{.auth_offered = true};
  EXPECT_TRUE(Good<Mail>("MAIL FROM:<a@b> AUTH=<>", context).auth->null);
  EXPECT_EQ(Good<Mail>("MAIL FROM:<a@b> AUTH=e+2Bu@c.example", context).auth->ToString(),
            "e+u@c.example");
  ExpectBad("MAIL FROM:<a@b> AUTH=nobody", Kind::kParameterSyntax, context);
  ExpectBad("MAIL FROM:<a@b> AUTH=", Kind::kParameterSyntax, context);
  ExpectBad("MAIL FROM:<a@b> AUTH=<>", Kind::kParameterNotAllowed);
}

TEST(Mail, UnknownAndUnofferedParameters) {
  ExpectBad("MAIL FROM:<> FOO=1", Kind::kUnknownParameter);
  ExpectBad("MAIL FROM:<> FOO", Kind::kUnknownParameter);
  ExpectBad("MAIL FROM:<> NOTIFY=NEVER", Kind::kUnknownParameter);
  ExpectBad("MAIL FROM:<> =1", Kind::kParameterSyntax);
  ExpectBad("MAIL FROM:<> A_B=1", Kind::kParameterSyntax);
  ExpectBad("MAIL FROM:<> -A=1", Kind::kParameterSyntax);
  ExpectBad("MAIL FROM:<> A-=1", Kind::kUnknownParameter);
  ExpectBad("MAIL FROM:<> FOO=a\x01", Kind::kParameterSyntax);
  ExpectBad("MAIL FROM:<> SIZE=1", Kind::kParameterNotAllowed, {.extended = false});
  ExpectBad("MAIL FROM:<> SIZE=1", Kind::kParameterNotAllowed, {.size_offered = false});
  ExpectBad("MAIL FROM:<> RET=FULL", Kind::kParameterNotAllowed, {.dsn_offered = false});
  ExpectBad("MAIL FROM:<> ENVID=x", Kind::kParameterNotAllowed, {.dsn_offered = false});
  ExpectBad("MAIL FROM:<> SMTPUTF8", Kind::kParameterNotAllowed, {.smtputf8_offered = false});
  Good<Mail>("MAIL FROM:<> ", {.extended = false});
}

TEST(Mail, Utf8NeedsItsParameter) {
  const Mail mail = Good<Mail>("MAIL FROM:<\xc3\xbc@b> SMTPUTF8");
  EXPECT_TRUE(mail.smtputf8);
  EXPECT_EQ(mail.from.ToString(), "\xc3\xbc@b");
  Good<Mail>("MAIL FROM:<\xc3\xbc@b> SIZE=1 smtputf8 BODY=8BITMIME");
  EXPECT_TRUE(Good<Mail>("MAIL FROM:<a@b> SMTPUTF8").smtputf8);
  ExpectBad("MAIL FROM:<\xc3\xbc@b>", Kind::kNonAsciiAddress);
  ExpectBad("MAIL FROM:<a@\xc3\xbc>", Kind::kNonAsciiAddress);
  ExpectBad("MAIL FROM:<\xc3@b>", Kind::kSenderSyntax);
  ExpectBad("MAIL FROM:<\xc3@b> SMTPUTF8", Kind::kSenderSyntax);
  ExpectBad("MAIL FROM:<a@b> SMTPUTF8=yes", Kind::kParameterSyntax);
  ExpectBad("MAIL FROM:<a@b> SMTPUTF8 SMTPUTF8", Kind::kParameterSyntax);
  // The word within the path is none of the parameters.
  ExpectBad("MAIL FROM:<\"\xc3\xbc SMTPUTF8 x\"@b>", Kind::kNonAsciiAddress);
}

TEST(Rcpt, Paths) {
  EXPECT_EQ(Good<Rcpt>("RCPT TO:<a@b>").to.ToString(), "a@b");
  EXPECT_EQ(Good<Rcpt>("rcpt to: <a@b>").to.ToString(), "a@b");
  EXPECT_TRUE(Good<Rcpt>("RCPT TO:<Postmaster>").to.postmaster);
  EXPECT_EQ(Good<Rcpt>("RCPT TO:<@us:victim@elsewhere>").to.ToString(), "victim@elsewhere");
  ExpectBad("RCPT", Kind::kSyntax);
  ExpectBad("RCPT FROM:<a@b>", Kind::kSyntax);
  ExpectBad("RCPT TO:<>", Kind::kRecipientSyntax);
  ExpectBad("RCPT TO:<user>", Kind::kRecipientSyntax);
  ExpectBad("RCPT TO:a@b", Kind::kRecipientSyntax);
  ExpectBad("RCPT TO:<\xc3\xbc@b>", Kind::kNonAsciiAddress);
  EXPECT_EQ(Good<Rcpt>("RCPT TO:<\xc3\xbc@b>", {.smtputf8 = true}).to.ToString(), "\xc3\xbc@b");
}

TEST(Rcpt, Notify) {
  EXPECT_EQ(Good<Rcpt>("RCPT TO:<a@b>").notify, 0);
  EXPECT_EQ(Good<Rcpt>("RCPT TO:<a@b> NOTIFY=NEVER").notify, kNotifyNever);
  EXPECT_EQ(Good<Rcpt>("RCPT TO:<a@b> notify=success,Failure,DELAY").notify,
            kNotifySuccess | kNotifyFailure | kNotifyDelay);
  for (const char* value : {"NOTIFY", "NOTIFY=", "NOTIFY=NEVER,SUCCESS", "NOTIFY=SUCCESS,NEVER",
                            "NOTIFY=,", "NOTIFY=SUCCESS,", "NOTIFY=OFTEN"}) {
    ExpectBad(std::string("RCPT TO:<a@b> ") + value, Kind::kParameterSyntax);
  }
  ExpectBad("RCPT TO:<a@b> NOTIFY=NEVER", Kind::kParameterNotAllowed, {.dsn_offered = false});
}

TEST(Rcpt, OriginalRecipient) {
  struct {
    std::string value;
    const char* orcpt;  // null: malformed
    bool smtputf8 = false;
  } const rows[] = {
      {"rfc822;a@b", "rfc822;a@b"},
      {"RFC822;a+2Bb@c", "rfc822;a+b@c"},
      {"x-local;a+20b", "x-local;a b"},
      {"utf-8;\\x{FC}@b", "utf-8;\xc3\xbc@b"},
      {"utf-8;\xc3\xbc@b", nullptr},
      {"utf-8;\xc3\xbc@b", "utf-8;\xc3\xbc@b", true},
      {"rfc822;" + std::string(493, 'x'), "as it is"},
      {"rfc822;" + std::string(494, 'x'), nullptr},
      {"rfc822;\xc3\xbc@b", nullptr, true},
      {"rfc822;+C3+BC@b", nullptr},
      {"rfc822;a+0D+0Ab", nullptr},
      {"rfc822;a+", nullptr},
      {"rfc822;", nullptr},
      {";a@b", nullptr},
      {"a@b", nullptr},
      {"rfc 822;a", nullptr},
      {"rfc_822;a", nullptr},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.value);
    const auto command =
        ParseCommand("RCPT TO:<a@b> ORCPT=" + row.value, {.smtputf8 = row.smtputf8});
    ASSERT_EQ(command.has_value(), row.orcpt != nullptr);
    if (row.value.size() == 500) {
      EXPECT_EQ(std::get<Rcpt>(*command).orcpt, row.value);
    } else if (row.orcpt != nullptr) {
      EXPECT_EQ(std::get<Rcpt>(*command).orcpt, row.orcpt);
    }
  }
}

TEST(Bdat, SizeAndLast) {
  EXPECT_EQ(Good<Bdat>("BDAT 0").octets, 0u);
  EXPECT_FALSE(Good<Bdat>("BDAT 100").last);
  EXPECT_TRUE(Good<Bdat>("bdat 100 last").last);
  EXPECT_EQ(Good<Bdat>("BDAT 999999999999999999 LAST").octets, 999999999999999999u);
  for (const char* line : {"BDAT LAST", "BDAT -1", "BDAT 1x", "BDAT 1 FIRST", "BDAT 1 LAST x",
                           "BDAT 1000000000000000000", "BDAT 0x10"}) {
    ExpectBad(line, Kind::kSyntax);
  }
}

TEST(Auth, MechanismAndInitialResponse) {
  EXPECT_EQ(Good<Auth>("AUTH plain").mechanism, "PLAIN");
  EXPECT_FALSE(Good<Auth>("AUTH PLAIN").initial_response.has_value());
  EXPECT_EQ(Good<Auth>("AUTH PLAIN AGEAYg==").initial_response, "AGEAYg==");
  EXPECT_EQ(Good<Auth>("AUTH EXTERNAL =").initial_response, "=");
  EXPECT_EQ(Good<Auth>("AUTH SCRAM-SHA-256-PLUS x").mechanism, "SCRAM-SHA-256-PLUS");
  ExpectBad("AUTH PLAIN a b", Kind::kSyntax);
  ExpectBad("AUTH PLAIN a!", Kind::kSyntax);
  ExpectBad("AUTH PL/AIN", Kind::kSyntax);
  ExpectBad("AUTH " + std::string(21, 'X'), Kind::kSyntax);
  Good<Auth>("AUTH " + std::string(20, 'X'));
}

TEST(Command, LengthIsLimited) {
  const std::string noop = "NOOP ";
  Good<Noop>(noop + std::string(kMaxCommandLine - 2 - noop.size(), 'x'));
  ExpectBad(noop + std::string(kMaxCommandLine - 1 - noop.size(), 'x'), Kind::kTooLong);
  const std::string auth = "AUTH PLAIN ";
  Good<Auth>(auth + std::string(kMaxAuthLine - 2 - auth.size(), 'A'));
  ExpectBad(auth + std::string(kMaxAuthLine - 1 - auth.size(), 'A'), Kind::kTooLong);
}

}  // namespace
}  // namespace postern::smtp
