// When the client's octets come: too early, all at once, or one by one.
#include "tests/daemons/smtpd/session_fixture.h"

namespace postern::smtpd {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(SessionTest, WhoSpeaksBeforeTheGreetingIsRefused) {
  for (const std::string_view early : {"EHLO client.example\r\n", "x", "\x16\x03\x01", "\r\n"}) {
    for (const absl::Duration delay : {absl::ZeroDuration(), absl::Seconds(5)}) {
      SCOPED_TRACE(testing::Message() << testing::PrintToString(early));
      host.mutable_settings().smtp.greeting_delay = delay;
      host.answer_after = absl::Milliseconds(1);
      peer = test::ScriptedPeer();
      peer.SaysRaw(early);
      peer.ExpectsReply("554 5.5.0 you spoke before the greeting");
      peer.ExpectsClose();
      Run();
      EXPECT_EQ(counters.commands, 0u);
    }
  }
}

TEST_F(SessionTest, TheGreetingIsHeldBackForItsDelay) {
  host.mutable_settings().smtp.greeting_delay = absl::Seconds(5);
  peer.ExpectsReply("220");
  absl::Duration greeted;
  peer.Does([&] { greeted = loop.elapsed(); });
  Run();
  EXPECT_EQ(greeted, absl::Seconds(5));
}

TEST_F(SessionTest, WhoSpeaksDuringTheDelayIsRefusedAtOnce) {
  host.mutable_settings().smtp.greeting_delay = absl::Seconds(5);
  peer.Waits(absl::Seconds(4));
  peer.SaysRaw("E");
  peer.ExpectsReply("554 5.5.0");
  absl::Duration refused;
  peer.Does([&] { refused = loop.elapsed(); });
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(refused, absl::Seconds(4));
}

TEST_F(SessionTest, WhoLeavesDuringTheDelayIsToldNothing) {
  host.mutable_settings().smtp.greeting_delay = absl::Seconds(5);
  peer.Waits(absl::Seconds(1));
  Run();
  EXPECT_THAT(peer.heard(), IsEmpty());
  EXPECT_LT(loop.elapsed(), absl::Seconds(5));
}

// RFC 2920 §3.1: only who saw PIPELINING may go on, and not behind EHLO, whose answer says so.
TEST_F(SessionTest, WhatWasSentBeforePipeliningWasOfferedIsCutOff) {
  struct {
    const char* label;
    std::initializer_list<Row> before;
    const char* group;
  } const rows[] = {
      {"behind EHLO", {}, "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n"},
      {"behind a second EHLO",
       {{"EHLO client.example", "250"}},
       "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n"},
      {"behind HELO", {}, "HELO client.example\r\nMAIL FROM:<a@client.example>\r\n"},
      {"part of a line behind EHLO", {}, "EHLO client.example\r\nM"},
      {"before EHLO", {}, "NOOP\r\nNOOP\r\n"},
      {"in a session of HELO",
       {{"HELO client.example", "250"}},
       "MAIL FROM:<a@client.example>\r\nRCPT TO:<alice@example.org>\r\n"},
      {"a chunk in a session of HELO",
       {{"HELO client.example", "250"},
        {"MAIL FROM:<a@client.example>", "250"},
        {"RCPT TO:<alice@example.org>", "250"}},
       "BDAT 6 LAST\r\nRSET\r\n"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.label);
    peer = test::ScriptedPeer();
    peer.ExpectsReply("220");
    Dialogue(row.before);
    peer.SaysRaw(row.group);
    peer.ExpectsReply("554 5.5.0 commands were sent before");
    peer.ExpectsClose();
    Run();
  }
  EXPECT_THAT(Committed(), IsEmpty());
}

TEST_F(SessionTest, ContentSentBehindDataIsNeitherContentNorCommands) {
  Hello();
  Envelope();
  peer.SaysRaw("DATA\r\nSubject: x\r\n\r\n.\r\nMAIL FROM:<forged@example.org>\r\n");
  peer.ExpectsReply("554 5.5.0");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(counters.transactions, 1u);
  EXPECT_THAT(host.messages, IsEmpty());
}

// Refused in the middle of a group, DATA has content behind it, or something worse.
TEST_F(SessionTest, BehindARefusedDataNothingIsACommand) {
  Hello();
  peer.SaysRaw(
      "MAIL FROM:<a@client.example>\r\nRCPT TO:<unknown@example.org>\r\nDATA\r\n"
      "RSET\r\nMAIL FROM:<forged@example.org>\r\n");
  peer.ExpectsReply("250 2.1.0");
  peer.ExpectsReply("550 5.1.1");
  peer.ExpectsReply("554 5.5.1 no valid recipients");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(counters.transactions, 1u);
}

TEST_F(SessionTest, AGroupMayEndInARefusedData) {
  Hello();
  peer.SaysRaw("MAIL FROM:<a@client.example>\r\nRCPT TO:<unknown@example.org>\r\nDATA\r\n");
  peer.ExpectsReply("250 2.1.0");
  peer.ExpectsReply("550 5.1.1");
  peer.ExpectsReply("554 5.5.1 no valid recipients");
  peer.SaysRaw("RSET\r\nQUIT\r\nnothing here is read\r\n");
  peer.ExpectsReply("250 2.0.0");
  peer.ExpectsReply("221 2.0.0");
  peer.ExpectsClose();
  Run();
}

// One dialogue, each part of it cut in two everywhere: the answers are always the same.
TEST_F(SessionTest, NothingDependsOnHowADialogueIsCut) {
  const std::string parts[] = {
      "EHLO client.example\r\n",
      "MAIL FROM:<a@client.example> SIZE=30 BODY=8BITMIME\r\nRCPT TO:<alice@example.org>\r\n"
      "NOOP\r\nRCPT TO:<unknown@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n",
      "Subject: cut\r\n\r\n..\r\n.x\r\n.\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\n"
      "BDAT 9\r\nNOOP\r\n.\r\nBDAT 2 LAST\r\n\r\nVRFY x\r\nQUIT\r\n"};
  const std::vector<std::vector<std::string>> replies = {
      {"250"},
      {"250 2.1.0", "250 2.1.5", "250 2.0.0", "550 5.1.1", "250 2.1.5", "354"},
      {"250 2.0.0 message accepted", "250 2.0.0", "250 2.1.0", "250 2.1.5", "250 2.0.0 9 octets",
       "250 2.0.0 message accepted", "252 2.1.5", "221 2.0.0"}};
  for (size_t cut_part = 0; cut_part < 3; ++cut_part) {
    for (size_t cut = 1; cut < parts[cut_part].size(); ++cut) {
      SCOPED_TRACE(testing::Message() << "part " << cut_part << " at " << cut);
      host.messages.clear();
      peer = test::ScriptedPeer();
      peer.ExpectsReply("220");
      for (size_t part = 0; part < 3; ++part) {
        const std::string_view text = parts[part];
        if (part == cut_part) {
          peer.SaysRaw(text.substr(0, cut));
          peer.Waits(absl::Milliseconds(1));
          peer.SaysRaw(text.substr(cut));
        } else {
          peer.SaysRaw(text);
        }
        for (const std::string& reply : replies[part]) peer.ExpectsReply(reply);
      }
      peer.ExpectsClose();
      Run();
      ASSERT_THAT(Committed(), SizeIs(2));
      EXPECT_EQ(Committed()[0]->content, "Subject: cut\r\n\r\n.\r\nx\r\n");
      EXPECT_EQ(Committed()[1]->content, "NOOP\r\n.\r\n\r\n");
    }
  }
}

TEST_F(SessionTest, RepliesToAGroupLeaveTogether) {
  Hello();
  peer.SaysRaw("MAIL FROM:<a@client.example>\r\nNOOP\r\nVRFY x\r\nRSET\r\n");
  peer.Waits(absl::Seconds(1));
  for (const char* reply : {"250 2.1.0", "250 2.0.0", "252 2.1.5", "250 2.0.0"})
    peer.Expects(reply);
  Run();
  EXPECT_THAT(peer.heard(),
              HasSubstr("250 2.1.0 sender OK\r\n250 2.0.0 OK\r\n252 2.1.5 cannot verify; send mail "
                        "and see\r\n250 2.0.0 flushed\r\n"));
}

// A program of this machine may write its whole dialogue and read afterwards.
TEST_F(SessionTest, ALocalClientMaySendAllAtOnce) {
  client = LocalUser();
  host.mutable_settings().smtp.greeting_delay = absl::Seconds(30);
  peer.SaysRaw(
      "HELO localhost\r\nEHLO localhost\r\nMAIL FROM:<alice@example.org>\r\n"
      "RCPT TO:<bob@example.org>\r\nDATA\r\nSubject: at once\r\n\r\nQUIT\r\n.\r\nQUIT\r\n");
  for (const char* reply :
       {"220", "250", "250", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "221 2.0.0"})
    peer.ExpectsReply(reply);
  peer.ExpectsClose();
  Run();
  ASSERT_THAT(Committed(), SizeIs(1));
  const FakeMessage& message = *Committed()[0];
  EXPECT_EQ(message.content, "Subject: at once\r\n\r\nQUIT\r\n");
  EXPECT_EQ(message.submit.submitter, "user alice");
  EXPECT_THAT(message.submit.client.octets, IsEmpty());
  EXPECT_THAT(message.submit.prepend, testing::StartsWith("Received: from mx.example.org (local "
                                                          "user alice)\r\n"));
  ASSERT_THAT(host.questions, SizeIs(1));
  EXPECT_EQ(host.questions[0].local_user, "alice");
  EXPECT_LT(loop.elapsed(), absl::Seconds(1)) << "the greeting is not held back";
}

TEST_F(SessionTest, OfALocalClientTooContentIsNoCommandEither) {
  client = LocalUser();
  struct {
    const char* label;
    absl::Status submit;
    const char* recipient;
    const char* reply;
  } const rows[] = {
      {"no recipient", absl::OkStatus(), "unknown@example.org", "554 5.5.1"},
      {"no queue", absl::UnavailableError("gone"), "bob@example.org", "451 4.3.0"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.label);
    host.submit_status = row.submit;
    peer = test::ScriptedPeer();
    peer.SaysRaw(StrCat("EHLO localhost\r\nMAIL FROM:<alice@example.org>\r\nRCPT TO:<",
                        row.recipient, ">\r\nDATA\r\nMAIL FROM:<forged@example.org>\r\n.\r\n"));
    for (const char* reply : {"220", "250", "250 2.1.0"}) peer.ExpectsReply(reply);
    peer.ExpectsReply(row.submit.ok() ? "550 5.1.1" : "250 2.1.5");
    peer.ExpectsReply(row.reply);
    peer.ExpectsClose();
    Run();
    EXPECT_EQ(counters.transactions, 1u);
  }
}

// `printf ... | nc` ends its side at once, and wants the answers all the same.
TEST_F(SessionTest, AClientThatEndsItsSideIsStillAnswered) {
  Hello();
  peer.SaysRaw("NOOP\r\nVRFY x\r\n");
  peer.Does([this] { client_end->Close(); });
  peer.ExpectsReply("250");
  peer.ExpectsReply("252");
  peer.ExpectsClose();
  Run();
}

}  // namespace
}  // namespace postern::smtpd
