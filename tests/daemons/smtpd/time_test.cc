// What takes too long, and what happens when the server is told to stop.
#include "common/smtp/timeouts.h"
#include "tests/daemons/smtpd/session_fixture.h"

namespace postern::smtpd {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(SessionTest, TheTimesOfTheStandardAreTheDefaults) {
  const config::Smtp& settings = host.settings().smtp;
  EXPECT_GE(settings.command_timeout, absl::FromChrono(smtp::kServerTimeout));
  EXPECT_GE(settings.data_timeout, absl::FromChrono(smtp::kDataBlockTimeout));
}

TEST_F(SessionTest, WhoSaysNothingIsTimedOut) {
  peer.ExpectsReply("220");
  peer.ExpectsReply("421 4.4.2 timeout");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(loop.elapsed(), absl::Minutes(5));
}

TEST_F(SessionTest, EachCommandHasItsOwnTime) {
  Hello();
  for (int i = 0; i < 5; ++i) {
    peer.Waits(absl::Seconds(299));
    Says("NOOP", "250");
  }
  peer.Waits(absl::Seconds(299));
  peer.Says("QUIT");
  peer.ExpectsReply("221");
  peer.ExpectsClose();
  Run();
}

TEST_F(SessionTest, ABadLineIsALineToo) {
  Hello();
  for (int i = 0; i < 3; ++i) {
    peer.Waits(absl::Seconds(200));
    Says(std::string(3000, 'x'), "500 5.5.2 line too long");
  }
  peer.Waits(absl::Seconds(200));
  Says("NOOP", "250");
  Run();
}

TEST_F(SessionTest, OctetsThatTrickleBuyNoTime) {
  Hello();
  for (int i = 0; i < 4; ++i) {
    peer.SaysRaw("N");
    peer.Waits(absl::Seconds(61));
  }
  peer.SaysRaw("N");
  peer.ExpectsReply("421 4.4.2");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(loop.elapsed(), absl::Minutes(5));
}

TEST_F(SessionTest, EachPieceOfContentHasItsOwnTime) {
  Hello();
  Envelope();
  Says("DATA", "354");
  for (int i = 0; i < 5; ++i) {
    peer.Waits(absl::Seconds(179));
    peer.SaysRaw("a line\r\n");
  }
  peer.ExpectsReply("421 4.4.2");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(loop.elapsed(), absl::Seconds(5 * 179) + absl::Minutes(3));
  ASSERT_THAT(host.messages, SizeIs(1));
  EXPECT_TRUE(host.messages[0]->taken_back);
}

TEST_F(SessionTest, AChunkThatDoesNotComeIsTimedOut) {
  Hello();
  Envelope();
  peer.SaysRaw("BDAT 100 LAST\r\nnot all of it");
  peer.ExpectsReply("421 4.4.2");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(loop.elapsed(), absl::Minutes(3));
  EXPECT_TRUE(host.messages.at(0)->taken_back);
}

TEST_F(SessionTest, NoSessionOutlivesItsLimit) {
  host.mutable_settings().smtp.session_limit = absl::Minutes(10);
  Hello();
  for (int i = 0; i < 4; ++i) {
    peer.Waits(absl::Minutes(2));
    Says("NOOP", "250");
  }
  peer.Waits(absl::Seconds(119));
  Says("NOOP", "250");
  peer.ExpectsReply("421 4.4.2");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(loop.elapsed(), absl::Minutes(10));
}

TEST_F(SessionTest, NoMessageOutlivesTheSessionsLimit) {
  host.mutable_settings().smtp.session_limit = absl::Minutes(10);
  Hello();
  Envelope();
  Says("DATA", "354");
  for (int i = 0; i < 5; ++i) {
    peer.SaysRaw("a line\r\n");
    peer.Waits(absl::Seconds(119));
  }
  peer.ExpectsReply("421 4.4.2");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(loop.elapsed(), absl::Minutes(10));
}

// Input that never pauses must not hide that the time is over: each answer takes a second here, and
// a thousand questions are at hand.
TEST_F(SessionTest, TheLimitHoldsWhileInputIsAtHand) {
  host.mutable_settings().smtp.session_limit = absl::Seconds(30);
  host.answer_after = absl::Seconds(1);
  peer.ExpectsReply("220");
  Says("EHLO client.example", "250");
  std::string group = "MAIL FROM:<>\r\n";
  for (int i = 0; i < 1000; ++i) group += "RCPT TO:<alice@example.org>\r\n";
  peer.SaysRaw(group);
  for (int i = 0; i < 30; ++i) peer.ExpectsReply("250");
  peer.ExpectsReply("421 4.4.2");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(loop.elapsed(), absl::Seconds(30));
}

// The window is full, and the client reads nothing: the session ends by itself.
TEST_F(SessionTest, WhoReadsNoRepliesIsLeft) {
  stream_options.window_octets = 64;
  peer.ExpectsReply("220");
  peer.Says("EHLO client.example");
  peer.Waits(absl::Minutes(6));
  bool over = false;
  peer.Does([&] { over = session == nullptr; });
  Run();
  EXPECT_TRUE(over);
}

TEST_F(SessionTest, ACommitThatTakesTooLongIsDeferred) {
  host.commit_after = absl::Minutes(6);
  Hello();
  Envelope();
  Content("x", "451 4.3.0");
  absl::Duration answered;
  peer.Does([&] { answered = loop.elapsed(); });
  Envelope();
  Run();
  EXPECT_EQ(answered, absl::Minutes(5));
  EXPECT_LT(answered, absl::FromChrono(smtp::kDataTerminationTimeout));
}

TEST_F(SessionTest, AnIdleSessionIsToldOfTheStop) {
  Hello();
  Says("NOOP", "250");
  peer.Waits(absl::Seconds(1));
  peer.Does([this] {
    ASSERT_TRUE(session->idle());
    host.stop = true;
    server_end->FailReceiveAfter(0, absl::AbortedError("interrupted"));
  });
  peer.ExpectsReply("421 4.3.2 service is shutting down");
  peer.ExpectsClose();
  Run();
}

TEST_F(SessionTest, AMessageInHandIsFinishedBeforeTheStop) {
  Hello();
  Says("MAIL FROM:<a@client.example>", "250");
  peer.Waits(absl::Seconds(1));
  peer.Does([this] {
    EXPECT_FALSE(session->idle());
    host.stop = true;
  });
  Says("RCPT TO:<alice@example.org>", "250 2.1.5");
  Says("DATA", "354");
  peer.Waits(absl::Seconds(1));
  peer.Does([this] { EXPECT_FALSE(session->idle()); });
  peer.SaysRaw("x\r\n.\r\n");
  peer.ExpectsReply("250 2.0.0");
  peer.ExpectsReply("421 4.3.2");
  peer.ExpectsClose();
  Run();
  EXPECT_THAT(Committed(), SizeIs(1));
}

TEST_F(SessionTest, WhoComesDuringTheStopIsSentAway) {
  host.stop = true;
  peer.ExpectsReply("421 4.3.2");
  peer.ExpectsClose();
  Run();
}

TEST_F(SessionTest, AConnectionThatBreaksAnywhereTakesTheMessageBack) {
  const std::string dialogue =
      "MAIL FROM:<a@client.example>\r\nRCPT TO:<alice@example.org>\r\nBDAT 3\r\na\r\nBDAT "
      "3\r\nb\r\n"
      "BDAT 3 LAST\r\nc\r\n";
  for (size_t octets = 0; octets < dialogue.size(); octets += 1) {
    host.messages.clear();
    peer = test::ScriptedPeer();
    Hello();
    peer.Does(
        [&] { server_end->FailReceiveAfter(octets, absl::UnavailableError("reset by peer")); });
    peer.SaysRaw(dialogue);
    Run();
    EXPECT_THAT(Committed(), IsEmpty()) << octets;
    for (const auto& message : host.messages) EXPECT_TRUE(message->taken_back) << octets;
  }
}

TEST_F(SessionTest, AReplyThatCannotBeSentEndsTheSession) {
  Hello();
  Envelope();
  peer.Does([&] { server_end->FailSendAfter(3, absl::UnavailableError("reset by peer")); });
  peer.Says("NOOP");
  peer.Waits(absl::Seconds(1));
  bool over = false;
  peer.Does([&] { over = session == nullptr; });
  Run();
  EXPECT_TRUE(over);
}

}  // namespace
}  // namespace postern::smtpd
