// DATA and BDAT: what is content, where it ends, and what is refused in it.
#include "tests/daemons/smtpd/session_fixture.h"

namespace postern::smtpd {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::string_view kMessage = "Subject: dots\r\n\r\n.\r\n..two\r\nlast\r\n";

TEST_F(SessionTest, DotsAreTakenOffAndOnlyTheEndEnds) {
  struct {
    std::string_view wire;  // up to the end of the data
    std::string_view content;
  } const rows[] = {
      {".\r\n", ""},
      {"\r\n.\r\n", "\r\n"},
      {"x\r\n.\r\n", "x\r\n"},
      {"..\r\n.\r\n", ".\r\n"},
      {"...\r\n.\r\n", "..\r\n"},
      {".x\r\n.\r\n", "x\r\n"},
      {"x.\r\n.\r\n", "x.\r\n"},
      {"x\r\n..\r\ny\r\n.\r\n", "x\r\n.\r\ny\r\n"},
      {"QUIT\r\nMAIL FROM:<a@b.example>\r\n.\r\n", "QUIT\r\nMAIL FROM:<a@b.example>\r\n"},
  };
  for (const auto& row : rows) {
    for (const size_t per_receive : {size_t{1}, size_t{3}, size_t{65536}}) {
      SCOPED_TRACE(testing::Message() << testing::PrintToString(row.wire) << " by " << per_receive);
      stream_options.max_octets_per_receive = per_receive;
      peer = test::ScriptedPeer();
      Hello();
      Envelope();
      Says("DATA", "354");
      peer.SaysRaw(row.wire);
      peer.ExpectsReply("250 2.0.0");
      Says("NOOP", "250 2.0.0 OK");
      Run();
      EXPECT_EQ(host.messages.back()->content, row.content);
      EXPECT_TRUE(host.messages.back()->committed);
    }
  }
}

TEST_F(SessionTest, WhatFollowsTheEndOfDataAreCommands) {
  Hello();
  Envelope();
  Says("DATA", "354");
  peer.SaysRaw("x\r\n.\r\nMAIL FROM:<b@client.example>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n");
  peer.ExpectsReply("250 2.0.0");
  peer.ExpectsReply("250 2.1.0");
  peer.ExpectsReply("250 2.1.5");
  peer.ExpectsReply("354");
  peer.SaysRaw("y\r\n.\r\nQUIT\r\n");
  peer.ExpectsReply("250 2.0.0");
  peer.ExpectsReply("221");
  peer.ExpectsClose();
  Run();
  EXPECT_THAT(Committed(), SizeIs(2));
}

// S03. None of these ends a message; all of it is read, and refused.
constexpr std::string_view kFalseEnds[] = {
    "\n.\n", "\n.\r\n", "\r\n.\n",   "\r.\r",     "\r.\r\n",   "\r\n.\r",
    "\n.\r", "\r.\n",   "\r\r\n.\r", "\n\n.\n\n", "\r\r\n.\n", "\r\n.\r\r\n",
};

TEST_F(SessionTest, NoFormOfBareNewlineEndsAMessage) {
  for (const bool reject : {true, false}) {
    host.mutable_settings().smtp.bare_newline =
        reject ? config::BareNewline::kReject : config::BareNewline::kNormalise;
    for (const std::string_view end : kFalseEnds) {
      for (const size_t per_receive : {size_t{1}, size_t{65536}}) {
        SCOPED_TRACE(testing::PrintToString(end));
        stream_options.max_octets_per_receive = per_receive;
        host.messages.clear();
        peer = test::ScriptedPeer();
        Hello();
        Envelope();
        Says("DATA", "354");
        peer.SaysRaw("outer" + std::string(end) +
                     "MAIL FROM:<forged@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"
                     "inner\r\n.\r\nQUIT\r\n");
        peer.ExpectsReply(reject ? "554 5.6.0" : "250 2.0.0");
        peer.ExpectsReply("221");
        peer.ExpectsClose();
        Run();
        ASSERT_THAT(host.messages, SizeIs(1));
        EXPECT_EQ(host.messages[0]->committed, !reject);
        EXPECT_EQ(host.messages[0]->taken_back, reject);
        // Normalised, a dot alone may stand in the content: whoever sends it on stuffs it.
        if (!reject) {
          EXPECT_THAT(host.messages[0]->content, HasSubstr("inner\r\n"));
        }
        EXPECT_EQ(host.questions.size(), 1u);
        host.questions.clear();
      }
    }
  }
}

TEST_F(SessionTest, ABareNewlineAnywhereInContentIsRefused) {
  const std::string good = "Subject: x\r\n\r\nab\r\n.\r\n";
  for (const char bare : {'\r', '\n'}) {
    for (size_t at = 0; at + 5 <= good.size(); ++at) {
      std::string wire = good;
      wire.insert(at, 1, bare);
      // A CR in front of CRLF, and behind CR, and a LF behind CRLF are bare all the same.
      SCOPED_TRACE(testing::PrintToString(wire));
      peer = test::ScriptedPeer();
      Hello();
      Envelope();
      Says("DATA", "354");
      peer.SaysRaw(wire);
      peer.ExpectsReply("554 5.6.0 message holds a bare CR or LF");
      Says("NOOP", "250 2.0.0 OK");
      Run();
      EXPECT_FALSE(host.messages.back()->committed);
    }
  }
}

TEST_F(SessionTest, ABareNewlineInACommandEndsTheConnection) {
  const std::string good = "NOOP x\r\nMAIL FROM:<a@client.example>\r\n";
  for (const char bare : {'\r', '\n'}) {
    for (size_t at = 0; at < 6; ++at) {
      for (const size_t per_receive : {size_t{1}, size_t{65536}}) {
        std::string wire = good;
        wire.insert(at, 1, bare);
        SCOPED_TRACE(testing::PrintToString(wire));
        stream_options.max_octets_per_receive = per_receive;
        peer = test::ScriptedPeer();
        Hello();
        peer.SaysRaw(wire);
        peer.ExpectsReply("554 5.5.2 command lines must end in CRLF");
        peer.ExpectsClose();
        Run();
        EXPECT_EQ(counters.transactions, 0u);
      }
    }
  }
}

TEST_F(SessionTest, NulIsRefusedInTextAndTakenInBinary) {
  const std::string content("a\0b\r\n", 5);
  Hello();
  Envelope();
  Content(content.substr(0, 3), "554 5.6.0 message holds a NUL octet");
  Envelope();
  Chunk(content, true, "554 5.6.0");
  Envelope(" BODY=BINARYMIME");
  Chunk(content, true, "250 2.0.0");
  Run();
  EXPECT_EQ(OnlyContent(), content);
}

TEST_F(SessionTest, NulInACommandIsNoCommand) {
  Hello();
  Envelope();
  const char* const expected[] = {"501 5.1.3", "500 5.5.2", "501 5.5.4", "501 5.5.4"};
  const std::string lines[] = {std::string("RCPT TO:<a\0@example.org>", 24),
                               std::string("DA\0TA", 5), std::string("DATA \0", 6),
                               std::string("EHLO a\0b", 8)};
  for (size_t i = 0; i < 4; ++i) Says(lines[i], expected[i]);
  Content("x", "250 2.0.0");
  Run();
}

TEST_F(SessionTest, ChunksAreJoinedHoweverTheyAreCut) {
  for (size_t first = 0; first <= kMessage.size(); ++first) {
    for (const size_t per_receive : {size_t{1}, size_t{7}, size_t{65536}}) {
      SCOPED_TRACE(testing::Message() << first << " by " << per_receive);
      stream_options.max_octets_per_receive = per_receive;
      peer = test::ScriptedPeer();
      Hello();
      Envelope();
      Chunk(kMessage.substr(0, first), false, StrCat("250 2.0.0 ", first, " octets received"));
      Chunk(kMessage.substr(first), true, "250 2.0.0 message accepted as ");
      Says("NOOP", "250 2.0.0 OK");
      Run();
      EXPECT_EQ(host.messages.back()->content, kMessage) << "dots are content here";
      EXPECT_TRUE(host.messages.back()->committed);
    }
  }
}

TEST_F(SessionTest, ChunksMayBePipelinedWithAllElse) {
  Hello();
  peer.SaysRaw(
      "MAIL FROM:<a@client.example> BODY=8BITMIME\r\nRCPT TO:<alice@example.org>\r\n"
      "BDAT 4\r\nQUITBDAT 2\r\n\r\nBDAT 6 LAST\r\nRSET\r\nBDAT 0 LAST\r\nNOOP\r\n");
  for (const char* reply : {"250 2.1.0", "250 2.1.5", "250 2.0.0 4 octets", "250 2.0.0 2 octets",
                            "250 2.0.0 message accepted", "503 5.5.1", "250 2.0.0 OK"})
    peer.ExpectsReply(reply);
  Run();
  EXPECT_EQ(OnlyContent(), "QUIT\r\nRSET\r\n");
}

TEST_F(SessionTest, AnEmptyLastChunkEndsAMessage) {
  Hello();
  Envelope();
  Chunk("body\r\n", false, "250");
  Chunk("", false, "250 2.0.0 0 octets");
  Chunk("", true, "250 2.0.0 message accepted");
  Envelope();
  Chunk("", true, "250 2.0.0 message accepted");
  Run();
  ASSERT_THAT(Committed(), SizeIs(2));
  EXPECT_EQ(Committed()[0]->content, "body\r\n");
  EXPECT_THAT(Committed()[1]->content, IsEmpty());
}

// RFC 3030 §2: whatever the answer, the chunk is read, and nothing in it is a command.
TEST_F(SessionTest, TheChunkOfARefusedBdatIsNoCommand) {
  const std::string chunk = "QUIT\r\nRSET\r\n";
  struct {
    const char* label;
    std::initializer_list<Row> before;
    const char* expect;
  } const rows[] = {
      {"without MAIL", {}, "503 5.5.1 say MAIL first"},
      {"without RCPT", {{"MAIL FROM:<>", "250"}}, "503 5.5.1 say RCPT first"},
      {"all recipients refused",
       {{"MAIL FROM:<>", "250"}, {"RCPT TO:<unknown@example.org>", "550"}},
       "554 5.5.1 no valid recipients"},
  };
  for (const auto& row : rows) {
    for (const bool last : {false, true}) {
      SCOPED_TRACE(row.label);
      peer = test::ScriptedPeer();
      Hello();
      Dialogue(row.before);
      Chunk(chunk, last, row.expect);
      Says("NOOP", "250 2.0.0 OK");
      Run();
    }
  }
  EXPECT_THAT(host.messages, IsEmpty());
}

TEST_F(SessionTest, AfterAFailedChunkTheRestFailsUntilItsEnd) {
  Hello();
  Envelope();
  Chunk("bare\nnewline\r\n", false, "554 5.6.0");
  Chunk("more\r\n", false, "503 5.5.1");
  Dialogue({{"DATA", "503 5.5.1"},
            {"RCPT TO:<bob@example.org>", "503 5.5.1"},
            {"MAIL FROM:<b@client.example>", "503 5.5.1"}});
  Chunk("end\r\n", true, "503 5.5.1");
  Envelope();  // the message is over
  Chunk("bare\rnewline\r\n", false, "554 5.6.0");
  Says("RSET", "250");
  Envelope();
  Chunk("good\r\n", true, "250 2.0.0");
  Run();
  EXPECT_EQ(OnlyContent(), "good\r\n");
}

TEST_F(SessionTest, BareNewlinesAreFoundAcrossChunks) {
  Hello();
  Envelope();
  Chunk("one\r", false, "250");
  Chunk("\ntwo\r\n", true, "250 2.0.0 message");
  Envelope();
  Chunk("one\r", false, "250");
  Chunk("two\r\n", true, "554 5.6.0");
  Envelope();
  Chunk("one\r", true, "554 5.6.0");
  Envelope(" BODY=BINARYMIME");
  Chunk("one\rtwo\n", true, "250 2.0.0");
  Run();
  ASSERT_THAT(Committed(), SizeIs(2));
  EXPECT_EQ(Committed()[0]->content, "one\r\ntwo\r\n");
  EXPECT_EQ(Committed()[1]->content, "one\rtwo\n");
}

TEST_F(SessionTest, WhileChunksComeOnlyChunksCome) {
  Hello();
  Envelope();
  Chunk("one\r\n", false, "250");
  Dialogue({{"MAIL FROM:<b@client.example>", "503 5.5.1"},
            {"RCPT TO:<bob@example.org>", "503 5.5.1 BDAT is under way"},
            {"DATA", "503 5.5.1 BDAT is under way"},
            {"NOOP", "250"},
            {"VRFY alice", "252"},
            {"HELP", "214"}});
  Chunk("two\r\n", true, "250 2.0.0");
  Run();
  EXPECT_EQ(OnlyContent(), "one\r\ntwo\r\n");
}

// Nobody knows how long the chunk is that follows: so it must not be read as commands.
TEST_F(SessionTest, AMalformedBdatEndsTheConnection) {
  for (const std::string_view line :
       {"BDAT", "BDAT x", "BDAT -1", "BDAT 5 FIRST", "BDAT 5LAST", "BDAT 0x10 LAST",
        "bdat 1000000000000000000 LAST", "BDAT 5 LAST now"}) {
    SCOPED_TRACE(line);
    peer = test::ScriptedPeer();
    Hello();
    Envelope();
    peer.SaysRaw(std::string(line) + "\r\nRSET\r\nMAIL FROM:<forged@example.org>\r\n");
    peer.ExpectsReply("501 5.5.4");
    peer.ExpectsClose();
    Run();
    EXPECT_EQ(counters.transactions, 1u);
  }
}

TEST_F(SessionTest, BinaryMimeNeedsBdat) {
  Hello();
  Envelope(" BODY=BINARYMIME");
  Says("DATA", "503 5.5.1 BODY=BINARYMIME needs BDAT");
  Chunk("any\0thing\n", true, "250 2.0.0");
  Run();
  EXPECT_EQ(Committed().at(0)->submit.body, protocol::Body::kBinary);
}

TEST_F(SessionTest, AMessageForNobodyIsSwallowed) {
  Hello();
  Dialogue({{"MAIL FROM:<>", "250"}, {"RCPT TO:<discard@example.org>", "250 2.1.5"}});
  Content("x", "250 2.0.0 message accepted as ");
  Dialogue({{"MAIL FROM:<>", "250"}, {"RCPT TO:<discard@example.org>", "250 2.1.5"}});
  Chunk("bare\n", true, "554 5.6.0");
  Run();
  EXPECT_THAT(host.messages, IsEmpty());
}

TEST_F(SessionTest, AClientThatLeavesWithinContentTakesItBack) {
  for (const std::string_view sent :
       {"DATA\r\n", "BDAT 100 LAST\r\nless than that", "BDAT 4\r\nhalf"}) {
    SCOPED_TRACE(sent);
    host.messages.clear();
    peer = test::ScriptedPeer();
    Hello();
    Envelope();
    peer.SaysRaw(sent);
    if (sent.starts_with("DATA")) {
      peer.ExpectsReply("354");
      peer.SaysRaw("Subject: x\r\n\r\nnot yet\r\n.\r");
    }
    Run();
    ASSERT_THAT(host.messages, SizeIs(1));
    EXPECT_TRUE(host.messages[0]->taken_back);
    EXPECT_FALSE(host.messages[0]->end_asked);
  }
}

// Content goes on as it comes: nothing waits for the whole message.
TEST_F(SessionTest, ContentStreams) {
  Hello();
  Envelope();
  Says("DATA", "354");
  peer.SaysRaw(std::string(50'000, 'x') + "\r\n");
  peer.Waits(absl::Seconds(1));
  size_t before = 0;
  peer.Does([&] { before = host.messages.at(0)->content.size(); });
  peer.SaysRaw(".\r\n");
  peer.ExpectsReply("250 2.0.0");
  Run();
  EXPECT_EQ(before, 50'002u);
}

}  // namespace
}  // namespace postern::smtpd
