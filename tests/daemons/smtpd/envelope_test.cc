// What MAIL and RCPT say, as policy and queue hear it; the Received field.
#include "tests/daemons/smtpd/session_fixture.h"

namespace postern::smtpd {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

TEST_F(SessionTest, SendersAreTakenAsTheStandardSays) {
  struct {
    const char* path;
    const char* expect;
    const char* sender;  // nullptr: refused
  } const rows[] = {
      {"<>", "250 2.1.0", ""},
      {"<user@client.example>", "250 2.1.0", "user@client.example"},
      {" <user@client.example>", "250 2.1.0", "user@client.example"},
      {"<User@CLIENT.Example>", "250 2.1.0", "User@client.example"},
      {"<\"a b\"@client.example>", "250 2.1.0", "\"a b\"@client.example"},
      {"<\"plain\"@client.example>", "250 2.1.0", "plain@client.example"},
      {"<user@[192.0.2.1]>", "250 2.1.0", "user@[192.0.2.1]"},
      {"<user@[IPv6:2001:db8::1]>", "250 2.1.0", "user@[IPv6:2001:db8::1]"},
      {"<@relay.example,@other.example:user@client.example>", "250 2.1.0", "user@client.example"},
      {"<user>", "501 5.1.7", nullptr},
      {"<postmaster>", "501 5.1.7", nullptr},
      {"user@client.example", "501 5.1.7", nullptr},
      {"<user@client.example", "501 5.1.7", nullptr},
      {"<user@-client.example>", "501 5.1.7", nullptr},
      {"<user@[300.0.2.1]>", "501 5.1.7", nullptr},
      {"<us er@client.example>", "501 5.1.7", nullptr},
      {"<.user@client.example>", "501 5.1.7", nullptr},
      {"<j\xc3\xbcrgen@client.example>", "553 5.6.7", nullptr},
      {"<user@client.example>SIZE=1", "501 5.5.4", nullptr},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.path);
    host.questions.clear();
    peer = test::ScriptedPeer();
    Hello();
    Says(StrCat("MAIL FROM:", row.path), row.expect);
    Says("RCPT TO:<alice@example.org>", row.sender != nullptr ? "250 2.1.5" : "503 5.5.1");
    Run();
    ASSERT_THAT(host.questions, SizeIs(row.sender != nullptr ? 1 : 0));
    if (row.sender != nullptr) {
      EXPECT_EQ(host.questions[0].sender, row.sender);
    }
  }
}

TEST_F(SessionTest, RecipientsAreAskedAboutAsTheStandardSays) {
  struct {
    const char* path;
    const char* expect;
    const char* recipient;  // nullptr: refused, nobody is asked
    bool routed;
  } const rows[] = {
      {"<alice@example.org>", "250 2.1.5", "alice@example.org", false},
      {"<Alice@EXAMPLE.org>", "250 2.1.5", "Alice@example.org", false},
      {"<postmaster>", "250 2.1.5", "postmaster", false},
      {"<PostMaster>", "250 2.1.5", "postmaster", false},
      {"<postmaster@example.org>", "250 2.1.5", "postmaster@example.org", false},
      {"<alice@[192.0.2.1]>", "250 2.1.5", "alice@[192.0.2.1]", false},
      {"<\"a lice\"@example.org>", "250 2.1.5", "\"a lice\"@example.org", false},
      {"<@us.example:victim@elsewhere.example>", "250 2.1.5", "victim@elsewhere.example", false},
      {"<@a.example,@b.example:v@elsewhere.example>", "250 2.1.5", "v@elsewhere.example", false},
      {"<victim%elsewhere.example@example.org>", "250 2.1.5",
       "victim%elsewhere.example@example.org", true},
      {"<elsewhere!victim@example.org>", "250 2.1.5", "elsewhere!victim@example.org", true},
      {"<\"victim@elsewhere.example\"@example.org>", "250 2.1.5",
       "\"victim@elsewhere.example\"@example.org", true},
      {"<>", "501 5.1.3", nullptr, false},
      {"<alice>", "501 5.1.3", nullptr, false},
      {"alice@example.org", "501 5.1.3", nullptr, false},
      {"<alice@example.org> X", "555 5.5.4", nullptr, false},
      {"<alice@>", "501 5.1.3", nullptr, false},
      {"<@us.example victim@elsewhere.example>", "501 5.1.3", nullptr, false},
      {"<\xff@example.org>", "501 5.1.3", nullptr, false},
      {"<j\xc3\xbcrgen@example.org>", "553 5.6.7", nullptr, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.path);
    host.questions.clear();
    peer = test::ScriptedPeer();
    Hello();
    Says("MAIL FROM:<a@client.example>", "250 2.1.0");
    Says(StrCat("RCPT TO:", row.path), row.expect);
    Run();
    ASSERT_THAT(host.questions, SizeIs(row.recipient != nullptr ? 1 : 0));
    if (row.recipient == nullptr) continue;
    const protocol::policy::RecipientQuestion& question = host.questions[0];
    EXPECT_EQ(question.recipient, row.recipient);
    EXPECT_EQ(question.routed_local_part, row.routed);
    EXPECT_EQ(question.helo, "client.example");
    EXPECT_EQ(question.client.ToAddress().ToString(), "192.0.2.7");
    EXPECT_THAT(question.local_user, IsEmpty());
  }
}

TEST_F(SessionTest, ParametersReachTheQueue) {
  Hello();
  Dialogue({{"MAIL FROM:<a@client.example> SIZE=17 BODY=8BITMIME RET=HDRS ENVID=QQ+2B314", "250"},
            {"RCPT TO:<one@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;O+2BNE@Example.ORG",
             "250 2.1.5"},
            {"RCPT TO:<two@example.org> NOTIFY=NEVER", "250 2.1.5"},
            {"RCPT TO:<three@example.org>", "250 2.1.5"}});
  Content("x", "250 2.0.0");
  Dialogue({{"MAIL FROM:<> RET=FULL", "250"}, {"RCPT TO:<two@example.org>", "250 2.1.5"}});
  Content("x", "250 2.0.0");
  Run();
  ASSERT_THAT(Committed(), SizeIs(2));
  const protocol::submission::Submit& submit = Committed()[0]->submit;
  EXPECT_EQ(submit.sender, "a@client.example");
  EXPECT_EQ(submit.envid, "QQ+314");
  EXPECT_EQ(submit.ret, protocol::Ret::kHeaders);
  EXPECT_EQ(submit.body, protocol::Body::kEightBit);
  EXPECT_EQ(submit.announced_octets, 17u);
  EXPECT_FALSE(submit.smtputf8);
  EXPECT_EQ(submit.submitter, "192.0.2.7");
  const auto& recipients = Committed()[0]->recipients;
  ASSERT_THAT(recipients, SizeIs(3));
  EXPECT_EQ(recipients[0].notify, protocol::kNotifySuccess | protocol::kNotifyDelay);
  EXPECT_EQ(recipients[0].orcpt, "rfc822;O+NE@Example.ORG");
  EXPECT_EQ(recipients[1].notify, protocol::kNotifyNever);
  EXPECT_EQ(recipients[2].notify, 0);
  EXPECT_THAT(recipients[2].orcpt, IsEmpty());
  EXPECT_EQ(Committed()[1]->submit.ret, protocol::Ret::kFull);
  EXPECT_THAT(Committed()[1]->submit.envid, IsEmpty()) << "nothing of the message before";
  EXPECT_EQ(Committed()[1]->submit.body, protocol::Body::kSevenBit);
}

TEST_F(SessionTest, BadParametersAreRefusedAndChangeNothing) {
  struct {
    const char* parameters;
    const char* expect;
  } const mail[] = {
      {" BODY=9BIT", "501 5.5.4"},    {" BODY", "501 5.5.4"},
      {" RET=ALL", "501 5.5.4"},      {" RET=FULL RET=HDRS", "501 5.5.4"},
      {" ENVID=", "501 5.5.4"},       {" ENVID=a+2", "501 5.5.4"},
      {" ENVID=a+0Ab", "501 5.5.4"},  {" SMTPUTF8=yes", "501 5.5.4"},
      {" AUTH=<>", "555 5.5.4"},      {" XYZZY", "555 5.5.4"},
      {" NOTIFY=NEVER", "555 5.5.4"}, {" SIZE=1 SIZE=1", "501 5.5.4"},
      {" HOLDFOR=3", "555 5.5.4"},    {" =5", "501 5.5.4"},
  };
  struct {
    const char* parameters;
    const char* expect;
  } const rcpt[] = {
      {" NOTIFY=", "501 5.5.4"},
      {" NOTIFY=NEVER,SUCCESS", "501 5.5.4"},
      {" NOTIFY=SOMETIMES", "501 5.5.4"},
      {" NOTIFY=SUCCESS,", "501 5.5.4"},
      {" ORCPT=alice@example.org", "501 5.5.4"},
      {" ORCPT=rfc822;", "501 5.5.4"},
      {" ORCPT=rfc822;a+0D+0Ab", "501 5.5.4"},
      {" SIZE=1", "555 5.5.4"},
      {" XYZZY=1", "555 5.5.4"},
  };
  Hello();
  host.mutable_settings().smtp.max_errors = 100;
  for (const auto& row : mail)
    Says(StrCat("MAIL FROM:<a@client.example>", row.parameters), row.expect);
  Says("MAIL FROM:<a@client.example>", "250");
  for (const auto& row : rcpt)
    Says(StrCat("RCPT TO:<alice@example.org>", row.parameters), row.expect);
  Says("DATA", "503 5.5.1 say RCPT first");
  Run();
  EXPECT_THAT(host.questions, IsEmpty());
}

TEST_F(SessionTest, Utf8AddressesNeedTheirParameter) {
  Hello();
  Dialogue(
      {{"MAIL FROM:<j\xc3\xbcrgen@b\xc3\xbc"
        "cher.example>",
        "553 5.6.7"},
       {"MAIL FROM:<a@client.example>", "250"},
       {"RCPT TO:<j\xc3\xbcrgen@example.org>", "553 5.6.7"},
       {"RSET", "250"},
       {"MAIL FROM:<j\xc3\xbcrgen@b\xc3\xbc"
        "cher.example> SMTPUTF8",
        "250 2.1.0"},
       {"RCPT TO:<j\xc3\xbcrgen@example.org> ORCPT=utf-8;j\xc3\xbcrgen@example.org", "250 2.1.5"},
       {"RCPT TO:<\xc3@example.org>", "501 5.1.3"}});
  Content(
      "Subject: gr\xc3\xbc\xc3\x9f"
      "e",
      "250 2.0.0");
  Says("MAIL FROM:<a@client.example>", "250");
  Says("RCPT TO:<j\xc3\xbcrgen@example.org>", "553 5.6.7");
  Run();
  ASSERT_THAT(Committed(), SizeIs(1));
  const FakeMessage& message = *Committed()[0];
  EXPECT_TRUE(message.submit.smtputf8);
  EXPECT_THAT(message.submit.prepend, HasSubstr(" with UTF8SMTP id "));
  EXPECT_THAT(message.submit.prepend, HasSubstr("for <j\xc3\xbcrgen@example.org>"));
  EXPECT_EQ(message.recipients.at(0).orcpt, "utf-8;j\xc3\xbcrgen@example.org");
}

TEST_F(SessionTest, EachMessageGetsOneReceivedFieldAndNoReturnPath) {
  Hello();
  Envelope();
  Content("x", "250 2.0.0");
  Run();
  const protocol::submission::Submit& submit = Committed().at(0)->submit;
  EXPECT_EQ(submit.prepend, StrCat("Received: from client.example ([192.0.2.7])\r\n"
                                   "\tby mx.example.org with ESMTP id ",
                                   QueueId(submit.queue_id).ToString(),
                                   "\r\n"
                                   "\tfor <alice@example.org>;\r\n"
                                   "\tThu, 1 Jan 2026 00:00:00 +0000\r\n"));
}

// RFC 5321 §7.2: "for" with more than one recipient would tell them of each other.
TEST_F(SessionTest, TheReceivedFieldNamesARecipientThatIsAlone) {
  Hello();
  Envelope();
  Says("RCPT TO:<bob@example.org>", "250 2.1.5");
  Content("x", "250 2.0.0");
  Run();
  EXPECT_THAT(Committed().at(0)->submit.prepend, Not(HasSubstr("for <")));
}

TEST_F(SessionTest, WhatClientsCallThemselvesIsMadeHarmless) {
  struct {
    const char* name;
    const char* from;
  } const rows[] = {
      {"[192.0.2.9]", "Received: from [192.0.2.9] ([192.0.2.7])"},
      {"not_a.name!", "Received: from not_a.name"},
      {"a)(b", "Received: from "},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    peer = test::ScriptedPeer();
    peer.ExpectsReply("220");
    Says(StrCat("EHLO ", row.name), "250");
    Envelope();
    Content("x", "250 2.0.0");
    Run();
    EXPECT_THAT(Committed().back()->submit.prepend, StartsWith(row.from));
    EXPECT_THAT(Committed().back()->submit.prepend, HasSubstr("([192.0.2.7])\r\n\tby "));
  }
}

TEST_F(SessionTest, AnIpv6ClientIsNamedByItsLiteral) {
  client = {.address = {*IpAddress::Parse("2001:db8::7"), 40000}, .local_user = {}};
  Hello();
  Envelope();
  Content("x", "250 2.0.0");
  Run();
  EXPECT_THAT(Committed().at(0)->submit.prepend,
              StartsWith("Received: from client.example ([IPv6:2001:db8::7])"));
}

}  // namespace
}  // namespace postern::smtpd
