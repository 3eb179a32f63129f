// Every limit on what a client sends, at its edge.
#include "common/smtp/limits.h"
#include "tests/daemons/smtpd/session_fixture.h"

namespace postern::smtpd {
namespace {

using ::testing::HasSubstr;

// A line of that many octets with its CRLF.
std::string NoopOf(size_t octets) { return "NOOP " + std::string(octets - 7, 'x'); }

TEST_F(SessionTest, CommandLinesAreTakenUpToTheirLimit) {
  Hello();
  Dialogue({{NoopOf(512), "250"},
            {NoopOf(smtp::kMaxCommandLine - 1), "250"},
            {NoopOf(smtp::kMaxCommandLine), "250"},
            {NoopOf(smtp::kMaxCommandLine + 1), "500 5.5.2 line too long"},
            {NoopOf(100'000), "500 5.5.2"},
            {"NOOP", "250"}});
  Run();
  EXPECT_EQ(counters.errors, 2u);
}

TEST_F(SessionTest, AnEndlessLineIsCutOff) {
  Hello();
  peer.SaysRaw(std::string(smtp::kMaxDiscardedLine, 'x'));
  peer.SaysRaw("\r\n");
  peer.ExpectsReply("500 5.5.2");
  peer.SaysRaw(std::string(smtp::kMaxDiscardedLine + 1, 'x'));
  peer.ExpectsReply("500 5.5.2");
  peer.ExpectsClose();
  Run();
}

TEST_F(SessionTest, LocalPartsAndPathsAreBounded) {
  const auto path = [](size_t local, size_t labels) {
    std::string text(local, 'l');
    text += '@';
    for (size_t i = 0; i < labels; ++i) text += std::string(62, 'd') + '.';
    return text + "example";
  };
  Hello();
  Dialogue({{"MAIL FROM:<" + path(64, 2) + ">", "250 2.1.0"},
            {"RCPT TO:<" + path(64, 2) + ">", "250 2.1.5"},
            {"RCPT TO:<" + path(65, 2) + ">", "501 5.1.3"},
            {"RCPT TO:<" + path(57, 3) + ">", "250 2.1.5"},
            {"RCPT TO:<" + path(58, 3) + ">", "501 5.1.3"},
            {"RSET", "250"},
            {"MAIL FROM:<" + path(65, 2) + ">", "501 5.1.7"}});
  Run();
  // 256 octets with the brackets.
  EXPECT_EQ(path(57, 3).size(), 254u);
}

TEST_F(SessionTest, RecipientsBeyondTheLimitAreDeferred) {
  host.mutable_settings().smtp.max_recipients = 3;
  Hello();
  Dialogue({{"MAIL FROM:<a@client.example>", "250"},
            {"RCPT TO:<one@example.org>", "250 2.1.5"},
            {"RCPT TO:<unknown@example.org>", "550 5.1.1"},
            {"RCPT TO:<discard@example.org>", "250 2.1.5"},
            {"RCPT TO:<three@example.org>", "250 2.1.5"},
            {"RCPT TO:<four@example.org>", "452 4.5.3"},
            {"RCPT TO:<five@example.org>", "452 4.5.3"}});
  Content("x", "250 2.0.0");
  // The rest goes in another transaction.
  Dialogue({{"MAIL FROM:<a@client.example>", "250"}, {"RCPT TO:<four@example.org>", "250 2.1.5"}});
  Content("x", "250 2.0.0");
  Run();
  ASSERT_EQ(Committed().size(), 2u);
  EXPECT_EQ(Committed()[0]->recipients.size(), 2u);
}

// RFC 5321 §4.5.3.1.8 and .10: a client that has more recipients than we take gets rid of what we
// took, though it sees many refusals.
TEST_F(SessionTest, AThousandRecipientsTooManyAreNoErrorsOfTheClient) {
  host.mutable_settings().smtp.max_recipients = 100;
  Hello();
  std::string group = "MAIL FROM:<a@client.example>\r\n";
  for (int i = 0; i < 1100; ++i) group += StrCat("RCPT TO:<user", i, "@example.org>\r\n");
  peer.SaysRaw(group + "DATA\r\n");
  for (int i = 0; i < 101; ++i) peer.ExpectsReply("250 2.1.");
  for (int i = 0; i < 1000; ++i) peer.ExpectsReply("452 4.5.3");
  peer.ExpectsReply("354");
  peer.SaysRaw("x\r\n.\r\n");
  peer.ExpectsReply("250 2.0.0");
  Run();
  EXPECT_EQ(counters.errors, 0u);
  ASSERT_EQ(Committed().size(), 1u);
  EXPECT_EQ(Committed()[0]->recipients.size(), 100u);
}

TEST_F(SessionTest, WhoGoesOnBeyondThatIsCutOff) {
  host.mutable_settings().smtp.max_recipients = 1;
  host.mutable_settings().smtp.max_errors = 5;
  Hello();
  Envelope();
  std::string group;
  for (int i = 0; i < 1100; ++i) group += "RCPT TO:<bob@example.org>\r\n";
  peer.SaysRaw(group);
  for (int i = 0; i < 1005; ++i) peer.ExpectsReply("452 4.5.3");
  peer.ExpectsReply("421 4.7.0");
  peer.ExpectsClose();
  Run();
}

TEST_F(SessionTest, TooManyErrorsEndTheConnection) {
  host.mutable_settings().smtp.max_errors = 3;
  Hello();
  Dialogue({{"XYZZY", "500 5.5.2"},
            {"MAIL FROM:<a@client.example>", "250"},
            {"RCPT TO:<unknown@example.org>", "550 5.1.1"},
            {"RCPT TO:<later@example.org>", "450 4.2.1"},
            {"RCPT TO:<alice@example.org>", "250 2.1.5"},
            {"DATA now", "501 5.5.4"}});
  peer.ExpectsReply("421 4.7.0 too many errors");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(counters.errors, 3u) << "a deferral is not the client's mistake";
}

TEST_F(SessionTest, RefusedRecipientsOfALocalUserAreNoGuesses) {
  host.mutable_settings().smtp.max_errors = 2;
  client = LocalUser();
  Hello();
  Says("MAIL FROM:<alice@example.org>", "250");
  for (int i = 0; i < 5; ++i) Says("RCPT TO:<unknown@example.org>", "550 5.1.1");
  Says("RCPT TO:<bob@example.org>", "250 2.1.5");
  Content("x", "250 2.0.0");
  Says("XYZZY", "500 5.5.2");
  Says("XYZZY", "500 5.5.2");
  peer.ExpectsReply("421 4.7.0");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(Committed().size(), 1u);
}

TEST_F(SessionTest, MessagesInOneConnectionAreBounded) {
  host.mutable_settings().smtp.max_messages_per_connection = 3;
  Hello();
  Envelope();
  Content("one", "250 2.0.0");
  Envelope();
  Says("RSET", "250");  // RFC 9422 §4: every MAIL counts
  Envelope();
  Content("three", "250 2.0.0");
  Says("MAIL FROM:<a@client.example>", "421 4.7.0 too many messages");
  peer.ExpectsClose();
  Run();
  EXPECT_EQ(Committed().size(), 2u);
  EXPECT_EQ(counters.transactions, 3u);
}

TEST_F(SessionTest, WithoutALimitMessagesAreNotCounted) {
  host.mutable_settings().smtp.max_messages_per_connection = 0;
  Hello();
  for (int i = 0; i < 20; ++i) Dialogue({{"MAIL FROM:<>", "250"}, {"RSET", "250"}});
  Run();
  EXPECT_EQ(counters.transactions, 20u);
}

TEST_F(SessionTest, TheAnnouncedSizeIsHeldAgainstTheLimit) {
  constexpr uint64_t kLimit = 65536;
  host.mutable_settings().smtp.max_message_octets = kLimit;
  Hello();
  Dialogue({{"MAIL FROM:<a@client.example> SIZE=65537", "552 5.3.4"},
            {"RCPT TO:<alice@example.org>", "503 5.5.1"},
            {"MAIL FROM:<a@client.example> SIZE=18446744073709551615", "552 5.3.4"},
            {"MAIL FROM:<a@client.example> SIZE=99999999999999999999", "552 5.3.4"},
            {"MAIL FROM:<a@client.example> SIZE=999999999999999999999", "501 5.5.4"},
            {"MAIL FROM:<a@client.example> SIZE=", "501 5.5.4"},
            {"MAIL FROM:<a@client.example> SIZE=-1", "501 5.5.4"},
            {"MAIL FROM:<a@client.example> SIZE=0", "250 2.1.0"},
            {"RSET", "250"},
            {"MAIL FROM:<a@client.example> SIZE=65536", "250 2.1.0"}});
  Run();
}

TEST_F(SessionTest, ZeroMeansNoLimitOnSize) {
  host.mutable_settings().smtp.max_message_octets = 0;
  host.keep_content = false;
  Hello();
  Envelope(" SIZE=18446744073709551615");
  Content(std::string(3'000'000, 'x'), "250 2.0.0");
  Run();
  EXPECT_EQ(host.content_octets, 3'000'002u);
}

// The octets that arrive count, whatever was announced: with CRLF, without dots that were stuffed.
TEST_F(SessionTest, TheTrueSizeIsHeldAgainstTheLimit) {
  constexpr size_t kLimit = 65536;
  host.mutable_settings().smtp.max_message_octets = kLimit;
  const std::string head = "Subject: x\r\n\r\n.";
  const auto message = [&](size_t octets) { return head + std::string(octets - head.size(), 'x'); };
  const auto dotted = [&](size_t octets) {
    std::string text = message(octets);
    return text.insert(head.size() - 1, ".");
  };
  Hello();
  Envelope(" SIZE=5");
  Content(dotted(kLimit - 2), "250 2.0.0");
  Envelope(" SIZE=5");
  Content(dotted(kLimit - 1), "552 5.3.4");
  Envelope();
  Chunk(message(kLimit), true, "250 2.0.0");
  Envelope();
  Chunk(message(kLimit + 1), true, "552 5.3.4");
  Envelope();
  Chunk(message(kLimit), false, "250 2.0.0");
  Chunk("", true, "250 2.0.0");
  Envelope();
  Chunk(message(kLimit), false, "250 2.0.0");
  Chunk("x", false, "552 5.3.4");
  Chunk("", true, "503 5.5.1");
  Envelope(" BODY=BINARYMIME");
  Chunk(message(kLimit), true, "250 2.0.0");
  Envelope(" BODY=BINARYMIME");
  Chunk(message(kLimit + 1), true, "552 5.3.4");
  Run();
  ASSERT_EQ(Committed().size(), 4u);
  for (const FakeMessage* committed : Committed()) EXPECT_EQ(committed->content.size(), kLimit);
  for (const auto& taken : host.messages) EXPECT_LE(taken->content.size(), kLimit);
}

TEST_F(SessionTest, MessagesThatGoRoundAreRefused) {
  host.mutable_settings().smtp.max_hops = 3;
  const auto hops = [](int count) {
    std::string header;
    for (int i = 0; i < count; ++i) header += StrCat("Received: by hop", i, ".example; today\r\n");
    return header + "Subject: x\r\n\r\nReceived: in the body\r\n";
  };
  Hello();
  Envelope();
  Content(hops(3), "250 2.0.0");
  Envelope();
  Content(hops(4), "554 5.4.6");
  Envelope();
  Chunk(hops(4), true, "554 5.4.6");
  Run();
  EXPECT_EQ(Committed().size(), 1u);
}

TEST_F(SessionTest, AHundredAndOneHopsAreALoopByDefault) {
  std::string header;
  for (int i = 0; i < 101; ++i) header += "received : by hop.example; today\r\n";
  Hello();
  Envelope();
  Content(header + "\r\nbody", "554 5.4.6");
  Run();
}

TEST_F(SessionTest, HeadersAreBounded) {
  host.mutable_settings().smtp.max_header_octets = 4096;
  const auto header = [](size_t octets) {
    return "Subject: " + std::string(octets - 13, 'x') + "\r\n\r\nbody";
  };
  Hello();
  Envelope();
  Content(header(4096), "250 2.0.0");
  Envelope();
  Content(header(4097), "552 5.3.4 message header");
  Envelope();
  Content("\r\n" + std::string(10'000, 'x'), "250 2.0.0");
  Run();
}

// A text line has 1000 octets at least (RFC 5321 §4.5.3.1.6); longer ones are taken, too.
TEST_F(SessionTest, TextLinesOfAnyLengthAreTaken) {
  const std::string content = std::string(998, 'a') + "\r\n" + std::string(200'000, 'b');
  Hello();
  Envelope();
  Content(content, "250 2.0.0");
  Run();
  EXPECT_EQ(OnlyContent(), content + "\r\n");
}

// Short commands with long answers: nothing gathers without bound while more is at hand.
TEST_F(SessionTest, RepliesLeaveBeforeTheInputIsUsedUp) {
  Hello();
  Says("MAIL FROM:<>", "250");
  host.answer_after = absl::Seconds(1);
  std::string many;
  for (int i = 0; i < 400; ++i) many += "HELP\r\n";
  uint64_t before = 0;
  peer.Does([&] { before = server_end->sent_octets(); });
  peer.SaysRaw(many + "RCPT TO:<alice@example.org>\r\n");
  peer.Waits(absl::Milliseconds(500));
  uint64_t sent = 0;
  peer.Does([&] { sent = server_end->sent_octets() - before; });
  for (int i = 0; i < 400; ++i) {
    peer.Expects("214-");
    peer.Expects("214 ");
  }
  peer.ExpectsReply("250 2.1.5");
  Run();
  EXPECT_GT(sent, 16384u) << "while policy was asked, most replies had left";
}

}  // namespace
}  // namespace postern::smtpd
