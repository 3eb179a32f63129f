// Each command, in and out of its place.
#include "tests/daemons/smtpd/session_fixture.h"

namespace postern::smtpd {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(SessionTest, TheGreetingBeginsWithOurNameAndSaysNoProduct) {
  peer.ExpectsReply("220 mx.example.org ESMTP");
  Says("QUIT", "221 2.0.0");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(peer.heard().substr(0, peer.heard().find("\r\n")), "220 mx.example.org ESMTP");
  EXPECT_TRUE(accepted_by_policy);
  EXPECT_EQ(counters.commands, 1u);
}

TEST_F(SessionTest, EhloListsWhatIsOffered) {
  Hello();
  Run();
  EXPECT_THAT(peer.heard(), HasSubstr("250-mx.example.org\r\n"
                                      "250-PIPELINING\r\n"
                                      "250-SIZE 52428800\r\n"
                                      "250-8BITMIME\r\n"
                                      "250-SMTPUTF8\r\n"
                                      "250-ENHANCEDSTATUSCODES\r\n"
                                      "250-DSN\r\n"
                                      "250-CHUNKING\r\n"
                                      "250-BINARYMIME\r\n"
                                      "250 LIMITS RCPTMAX=1000 MAILMAX=1000\r\n"));
  EXPECT_THAT(peer.heard(), Not(HasSubstr("VRFY")));
  EXPECT_THAT(peer.heard(), Not(HasSubstr("EXPN")));
}

TEST_F(SessionTest, EhloAnnouncesTheLimitsInForce) {
  host.mutable_settings().smtp.max_message_octets = 0;
  host.mutable_settings().smtp.max_recipients = 7;
  host.mutable_settings().smtp.max_messages_per_connection = 0;
  Hello();
  peer.Does([this] {
    host.mutable_settings().smtp.max_message_octets = 1234567;
    host.mutable_settings().smtp.max_messages_per_connection = 1'000'000;
  });
  Says("EHLO client.example", "250 LIMITS RCPTMAX=7 MAILMAX=999999");
  Run();
  EXPECT_THAT(peer.heard(), HasSubstr("250-SIZE\r\n"));
  EXPECT_THAT(peer.heard(), HasSubstr("250 LIMITS RCPTMAX=7\r\n"));
  EXPECT_THAT(peer.heard(), HasSubstr("250-SIZE 1234567\r\n"));
}

TEST_F(SessionTest, HeloAnswersInOneLineWithoutExtensions) {
  peer.ExpectsReply("220");
  peer.Says("HELO client.example");
  peer.Expects("250 mx.example.org");
  Dialogue({{"MAIL FROM:<a@client.example> SIZE=10", "555 5.5.4"},
            {"MAIL FROM:<a@client.example>", "250 2.1.0"},
            {"RCPT TO:<alice@example.org> NOTIFY=NEVER", "555 5.5.4"},
            {"RCPT TO:<alice@example.org>", "250 2.1.5"}});
  Content("Subject: x\r\n", "250 2.0.0");
  Run();
  ASSERT_EQ(Committed().size(), 1u);
  EXPECT_THAT(Committed()[0]->submit.prepend, HasSubstr(" with SMTP id "));
}

TEST_F(SessionTest, TheSlideDialogueDeliversToTwoOfThree) {
  Hello();
  Dialogue({{"MAIL FROM:<smith@alpha.example>", "250 2.1.0"},
            {"RCPT TO:<jones@example.org>", "250 2.1.5"},
            {"RCPT TO:<unknown.green@example.org>", "550 5.1.1 no such user here"},
            {"RCPT TO:<brown@example.org>", "250 2.1.5"}});
  Content("Subject: slide 10\r\n\r\nBlah blah blah...", "250 2.0.0 message accepted as ");
  Says("QUIT", "221 2.0.0");
  peer.ExpectsClose();
  Run();
  ASSERT_EQ(Committed().size(), 1u);
  const FakeMessage& message = *Committed()[0];
  EXPECT_EQ(message.submit.sender, "smith@alpha.example");
  ASSERT_EQ(message.recipients.size(), 2u);
  EXPECT_EQ(message.recipients[0].address, "jones@example.org");
  EXPECT_EQ(message.recipients[1].address, "brown@example.org");
  EXPECT_EQ(message.content, "Subject: slide 10\r\n\r\nBlah blah blah...\r\n");
  EXPECT_THAT(peer.heard(),
              HasSubstr("accepted as " + QueueId(message.submit.queue_id).ToString() + "\r\n"));
  EXPECT_EQ(counters.messages, 1u);
}

TEST_F(SessionTest, CommandsOutOfPlaceAreRefusedAndChangeNothing) {
  peer.ExpectsReply("220");
  Dialogue({{"MAIL FROM:<a@client.example>", "503 5.5.1 say EHLO or HELO first"},
            {"RCPT TO:<alice@example.org>", "503 5.5.1"},
            {"DATA", "503 5.5.1"},
            {"NOOP", "250 2.0.0"},
            {"RSET", "250 2.0.0"},
            {"VRFY alice", "252 2.1.5"},
            {"HELP", "214 2.0.0"},
            {"EHLO client.example", "250"},
            {"RCPT TO:<alice@example.org>", "503 5.5.1 say MAIL first"},
            {"DATA", "503 5.5.1 say MAIL first"},
            {"MAIL FROM:<a@client.example>", "250 2.1.0"},
            {"DATA", "503 5.5.1 say RCPT first"},
            {"MAIL FROM:<b@client.example>", "503 5.5.1 a sender was given already"},
            {"RCPT TO:<alice@example.org>", "250 2.1.5"},
            {"MAIL FROM:<c@client.example>", "503 5.5.1"}});
  Content("x", "250 2.0.0");
  Says("DATA", "503 5.5.1 say MAIL first");
  Run();
  ASSERT_EQ(Committed().size(), 1u);
  EXPECT_EQ(Committed()[0]->submit.sender, "a@client.example");
}

TEST_F(SessionTest, MailBeforeHelloIsTakenWherePolicyAllows) {
  host.mutable_settings().smtp.require_helo = false;
  peer.ExpectsReply("220");
  Envelope();
  Content("x", "250 2.0.0");
  Run();
  ASSERT_EQ(Committed().size(), 1u);
  EXPECT_THAT(Committed()[0]->submit.prepend, StartsWith("Received: from unknown ("));
}

TEST_F(SessionTest, HelloAndRsetForgetTheTransactionAlone) {
  for (const std::string_view reset : {"EHLO again.example", "HELO again.example", "RSET"}) {
    SCOPED_TRACE(reset);
    peer = test::ScriptedPeer();
    Hello();
    Envelope();
    Says(reset, "250");
    Dialogue({{"DATA", "503 5.5.1 say MAIL first"},
              {"RCPT TO:<alice@example.org>", "503 5.5.1"},
              {"MAIL FROM:<new@client.example>", "250 2.1.0"},
              {"RCPT TO:<bob@example.org>", "250 2.1.5"}});
    Content("x", "250 2.0.0");
    Run();
    const FakeMessage& message = *host.messages.back();
    EXPECT_EQ(message.submit.sender, "new@client.example");
    ASSERT_EQ(message.recipients.size(), 1u);
    EXPECT_EQ(message.recipients[0].address, "bob@example.org");
  }
}

TEST_F(SessionTest, DataWithoutAGoodRecipientIsRefused) {
  Hello();
  Dialogue({{"MAIL FROM:<a@client.example>", "250 2.1.0"},
            {"RCPT TO:<unknown@example.org>", "550 5.1.1"},
            {"RCPT TO:<later@example.org>", "450 4.2.1"},
            {"DATA", "554 5.5.1 no valid recipients"},
            // The sender stands: one more try.
            {"RCPT TO:<alice@example.org>", "250 2.1.5"}});
  Content("x", "250 2.0.0");
  Run();
  EXPECT_EQ(Committed().size(), 1u);
}

TEST_F(SessionTest, WhatIsOffTellsNothingAndIsRefused) {
  Hello();
  const std::initializer_list<Row> rows = {
      {"VRFY alice", "252 2.1.5 cannot verify; send mail and see"},
      {"VRFY nobody", "252 2.1.5 cannot verify; send mail and see"},
      {"VRFY", "501 5.5.4"},
      {"EXPN staff", "502 5.7.0"},
      {"EXPN", "501 5.5.4"},
      {"SEND FROM:<a@b.example>", "502 5.5.1"},
      {"SOML FROM:<a@b.example>", "502 5.5.1"},
      {"SAML FROM:<a@b.example>", "502 5.5.1"},
      {"TURN", "502 5.5.1"},
      {"ETRN example.org", "502 5.5.1"},
      {"STARTTLS", "502 5.5.1"},
      {"AUTH PLAIN AGEAYg==", "502 5.5.1"},
      {"XYZZY", "500 5.5.2"},
      {"", "500 5.5.2"},
      {"   ", "500 5.5.2"},
      {"MAILFROM:<a@b.example>", "500 5.5.2"},
      {"RCPT", "501 5.5.4"},
      {"MAIL", "501 5.5.4"},
  };
  Dialogue(rows);
  Run();
  EXPECT_THAT(host.questions, IsEmpty()) << "VRFY and EXPN look nothing up";
  EXPECT_EQ(counters.errors, rows.size() - 2);
}

TEST_F(SessionTest, HelpTellsEachCommandsForm) {
  peer.ExpectsReply("220");
  peer.Says("HELP BDAT");
  peer.Expects("214-2.0.0 BDAT octets [LAST]");
  peer.Expects("214 2.0.0 So many octets");
  Dialogue({{"HELP", "214 2.0.0 HELP and one"},
            {"help mail", "214 2.0.0 Begins a message"},
            {"HELP EXPN", "504 5.5.4"},
            {"HELP \x01", "501 5.5.4"},
            {"NOOP with words", "250 2.0.0"},
            {std::string("NOOP \0", 6), "501 5.5.4"}});
  Run();
}

TEST_F(SessionTest, ArgumentsWhereNoneBelongAreRefused) {
  Hello();
  Envelope();
  Dialogue({{"DATA now", "501 5.5.4"},
            {"RSET now", "501 5.5.4"},
            {"QUIT now", "501 5.5.4"},
            {"EHLO", "501 5.5.4"},
            {"HELO", "501 5.5.4"}});
  Content("x", "250 2.0.0");
  Run();
  EXPECT_EQ(Committed().size(), 1u) << "a refused RSET or EHLO resets nothing";
}

TEST_F(SessionTest, VerbsAndKeywordsAreTakenInAnyCase) {
  peer.ExpectsReply("220");
  Dialogue({{"eHlO client.example", "250"},
            {"mail from:<a@client.example> size=3 body=8bitmime", "250 2.1.0"},
            {"Rcpt To:<alice@example.org>", "250 2.1.5"},
            {"data", "354"}});
  peer.SaysRaw("x\r\n.\r\n");
  peer.ExpectsReply("250 2.0.0");
  Says("quit", "221");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(Committed().size(), 1u);
}

TEST_F(SessionTest, OtherProtocolsAreCutOff) {
  for (const std::string_view line :
       {"GET / HTTP/1.1", "POST /x HTTP/1.0", "CONNECT mx.example.org:25 HTTP/1.1"}) {
    SCOPED_TRACE(line);
    peer = test::ScriptedPeer();
    peer.ExpectsReply("220");
    Says(line, "554 5.5.0");
    peer.ExpectsClose();
    Run();
  }
}

TEST_F(SessionTest, QuitWithinATransactionTakesItBack) {
  Hello();
  Envelope();
  Chunk("half of a message", false, "250 2.0.0");
  Says("QUIT", "221 2.0.0");
  peer.ExpectsClose();
  Run();
  ASSERT_EQ(host.messages.size(), 1u);
  EXPECT_TRUE(host.messages[0]->taken_back);
  EXPECT_FALSE(host.messages[0]->end_asked);
}

}  // namespace
}  // namespace postern::smtpd
