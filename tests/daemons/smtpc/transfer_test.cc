// The dialogue with a remote server, which is written down line by line and misbehaves in every
// way.
#include "daemons/smtpc/transfer.h"

#include <gtest/gtest.h>

#include <vector>

#include "common/io/scope.h"
#include "tests/testing/fake_loop.h"
#include "tests/testing/memory_stream.h"
#include "tests/testing/scripted_peer.h"

namespace postern::smtpc {
namespace {

using protocol::delivery::Outcome;
using protocol::delivery::Result;

config::Outbound Settings() {
  config::Outbound settings;
  settings.greeting_timeout = absl::Minutes(5);
  settings.command_timeout = absl::Minutes(5);
  settings.data_timeout = absl::Minutes(3);
  settings.final_timeout = absl::Minutes(10);
  return settings;
}

Work WorkFor(const std::vector<std::string>& recipients,
             std::string content = "A: b\r\n\r\nc\r\n") {
  Work work;
  work.front = std::move(content);
  work.job.sender = "a@example.net";
  for (size_t i = 0; i < recipients.size(); ++i) {
    work.job.recipients.push_back({.index = static_cast<uint32_t>(i + 5),
                                   .address = recipients[i],
                                   .orcpt = {},
                                   .notify = 0});
  }
  return work;
}

// A server, and the client's dialogues with it, on a clock that only timers move.
class Dialogue : public ::testing::Test {
 protected:
  // The server's side up to its offers.
  void Greets(std::string_view offers) {
    server.Says("220 mx.example.org");
    server.Expects(lmtp ? "LHLO mail.example.net" : "EHLO mail.example.net");
    std::string reply = "250-mx.example.org\r\n";
    for (size_t at = 0; at < offers.size();) {
      const size_t end = std::min(offers.find(' ', at), offers.size());
      reply += StrCat("250-", offers.substr(at, end - at), "\r\n");
      at = end + 1;
    }
    server.SaysRaw(reply + "250 X-LAST\r\n");
  }
  // One message after the other over one connection; fails if the server heard other than written.
  void Bring(std::vector<Work> works) {
    test::FakeLoop fake;
    const absl::Status ended = fake.Run(Run(works));
    EXPECT_TRUE(ended.ok()) << ended;
    elapsed = fake.elapsed();
  }
  void Bring(Work work) {
    std::vector<Work> works;
    works.push_back(std::move(work));
    Bring(std::move(works));
  }
  // "0 2.0.0 / 2 5.1.1": outcome and status by recipient.
  std::string Results(size_t message = 0) const {
    std::string text;
    if (message >= transferred.size()) return "none";
    for (const Result& result : transferred[message].results) {
      static constexpr std::string_view kWords[] = {"delivered", "relayed", "deferred", "failed"};
      text += StrCat(text.empty() ? "" : ", ", result.index, " ",
                     kWords[static_cast<size_t>(result.outcome)], " ", result.status);
    }
    return text;
  }

  bool lmtp = false;
  test::MemoryStreamOptions stream_options;
  test::ScriptedPeer server;
  std::vector<Transferred> transferred;
  absl::StatusOr<smtp::Reply> opened = absl::UnknownError("not tried");
  absl::Duration elapsed;

 private:
  io::Task<absl::Status> Serve(io::ByteStream& stream) {
    co_return co_await server.Play(stream, io::Loop::Current().After(absl::Hours(2)));
  }
  io::Task<absl::Status> Run(const std::vector<Work>& works) {
    io::Loop& loop = io::Loop::Current();
    auto [ours, theirs] = test::MakeMemoryStreams(stream_options);
    io::TaskScope scope;
    far_end_ = std::move(theirs);
    scope.Spawn(Serve(*far_end_));
    const config::Outbound settings = Settings();
    {
      Connection connection(loop, std::move(ours), "mx.example.org [192.0.2.1]", lmtp);
      opened = co_await connection.Open("mail.example.net", settings);
      if (opened.ok() && opened->positive()) {
        for (const Work& work : works) {
          transferred.push_back(co_await Transfer(loop, connection, work, settings));
          if (!transferred.back().reusable) break;
        }
      }
    }
    co_return co_await scope.JoinOrCancel();
  }

 protected:
  std::unique_ptr<test::MemoryStream> far_end_;
};

TEST_F(Dialogue, PipelinedCommandsLeaveTogetherAndEachRecipientHasItsReply) {
  Greets("PIPELINING ENHANCEDSTATUSCODES");
  server.Expects("MAIL FROM:<a@example.net>");
  server.Expects("RCPT TO:<b@example.org>");
  server.Expects("RCPT TO:<c@example.org>");
  server.Expects("RCPT TO:<d@example.org>");
  server.Expects("DATA");
  server.SaysRaw(
      "250 ok\r\n250 2.1.5 ok\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n451 4.2.0 later\r\n"
      "354 go on\r\n");
  server.ExpectsUntil(".");
  server.Says("250 2.0.0 queued as 1");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org", "c@example.org", "d@example.org"}));
  EXPECT_EQ(Results(), "5 relayed 2.0.0, 6 failed 5.1.1, 7 deferred 4.2.0");
  ASSERT_EQ(transferred.size(), 1u);
  EXPECT_TRUE(transferred[0].reusable);
  EXPECT_EQ(transferred[0].results[1].diagnostic, "550 5.1.1 no; such user");
  EXPECT_TRUE(transferred[0].results[1].remote_words);
}

TEST_F(Dialogue, WithoutPipeliningEachCommandWaitsForItsReply) {
  Greets("X-NOTHING");
  server.Expects("MAIL FROM:<a@example.net>");
  server.Says("250 ok");
  server.Expects("RCPT TO:<b@example.org>");
  server.Says("250 ok");
  server.Expects("DATA");
  server.Says("354 go on");
  server.ExpectsUntil(".");
  server.Says("250 ok");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org"}));
  EXPECT_EQ(Results(), "5 relayed 2.0.0");
}

TEST_F(Dialogue, DotsAreStuffedAndTheContentEndsInALine) {
  Greets("PIPELINING");
  server.Expects("MAIL");
  server.Expects("RCPT");
  server.Expects("DATA");
  server.SaysRaw("250 ok\r\n250 ok\r\n354 go on\r\n");
  server.Expects("A: b");
  server.Expects("");
  server.Expects("..");
  server.Expects("..x");
  server.Expects("end");
  server.Expects(".");
  server.Says("250 ok");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org"}, "A: b\r\n\r\n.\r\n.x\r\nend"));
  EXPECT_EQ(Results(), "5 relayed 2.0.0");
}

TEST_F(Dialogue, ChunkingSendsTheContentAsItIs) {
  Greets("PIPELINING CHUNKING");
  server.Expects("MAIL");
  server.Expects("RCPT");
  server.SaysRaw("250 ok\r\n250 ok\r\n");
  server.Expects("BDAT 15 LAST");
  server.Expects("A: b");
  server.Expects("");
  server.Expects(".");
  server.Expects(".x");
  server.Says("250 ok");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org"}, "A: b\r\n\r\n.\r\n.x\r\n"));
  EXPECT_EQ(Results(), "5 relayed 2.0.0");
}

// What was refused must leave nothing behind for the next message on a kept connection.

TEST_F(Dialogue, NobodyAcceptedAndDataRefusedThenTheNextMessageStartsAfresh) {
  Greets("PIPELINING");
  server.Expects("MAIL");
  server.Expects("RCPT TO:<b@");
  server.Expects("DATA");
  server.SaysRaw("250 ok\r\n550 5.1.1 no\r\n554 5.5.1 no valid recipients\r\n");
  server.Expects("RSET");
  server.Says("250 ok");
  server.Expects("MAIL");
  server.Expects("RCPT TO:<c@");
  server.Expects("DATA");
  server.SaysRaw("250 ok\r\n250 ok\r\n354 go on\r\n");
  server.ExpectsUntil(".");
  server.Says("250 ok");
  server.ExpectsClose();
  std::vector<Work> works;
  works.push_back(WorkFor({"b@example.org"}));
  works.push_back(WorkFor({"c@example.org"}));
  Bring(std::move(works));
  EXPECT_EQ(Results(0), "5 failed 5.1.1");
  EXPECT_EQ(Results(1), "5 relayed 2.0.0");
}

TEST_F(Dialogue, NobodyAcceptedAndDataAcceptedThenAnEmptyMessageEndsIt) {
  Greets("PIPELINING");
  server.Expects("MAIL");
  server.Expects("RCPT");
  server.Expects("DATA");
  server.SaysRaw("250 ok\r\n550 5.1.1 no\r\n354 go on\r\n");
  server.Expects(".");
  server.Says("554 5.5.1 no valid recipients");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org"}));
  EXPECT_EQ(Results(), "5 failed 5.1.1");
  EXPECT_TRUE(transferred[0].reusable);
}

TEST_F(Dialogue, DataRefusedThenTheNextMessageStartsAfresh) {
  for (const bool pipelining : {true, false}) {
    SCOPED_TRACE(pipelining);
    server = test::ScriptedPeer();
    transferred.clear();
    Greets(pipelining ? "PIPELINING" : "X-NOTHING");
    server.Expects("MAIL");
    if (!pipelining) server.Says("250 ok");
    server.Expects("RCPT TO:<b@");
    if (!pipelining) server.Says("250 ok");
    server.Expects("DATA");
    if (pipelining) server.SaysRaw("250 ok\r\n250 ok\r\n");
    server.Says("451 4.7.1 come back later");
    server.Expects("RSET");
    server.Says("250 ok");
    server.ExpectsClose();
    Bring(WorkFor({"b@example.org"}));
    EXPECT_EQ(Results(), "5 deferred 4.7.1");
    EXPECT_TRUE(transferred[0].reusable);
  }
}

TEST_F(Dialogue, MailRefusedIsTheWordForAllRecipients) {
  Greets("PIPELINING");
  server.Expects("MAIL");
  server.Expects("RCPT");
  server.Expects("RCPT");
  server.Expects("DATA");
  server.SaysRaw("452 4.3.1 full\r\n503 no\r\n503 no\r\n503 no\r\n");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org", "c@example.org"}));
  EXPECT_EQ(Results(), "5 deferred 4.3.1, 6 deferred 4.3.1");
  EXPECT_TRUE(transferred[0].reusable) << "there is no transaction to end";
  EXPECT_TRUE(transferred[0].busy);
}

// A reply that does not fit its command is never taken for success.

TEST_F(Dialogue, SuccessInAnswerToDataIsNoDelivery) {
  for (const bool pipelining : {true, false}) {
    SCOPED_TRACE(pipelining);
    server = test::ScriptedPeer();
    transferred.clear();
    Greets(pipelining ? "PIPELINING" : "X-NOTHING");
    server.Expects("MAIL");
    if (!pipelining) server.Says("250 ok");
    server.Expects("RCPT");
    if (!pipelining) server.Says("250 ok");
    server.Expects("DATA");
    if (pipelining) server.SaysRaw("250 ok\r\n250 ok\r\n");
    server.Says("250 2.0.0 taken");
    server.ExpectsClose();
    Bring(WorkFor({"b@example.org"}));
    EXPECT_EQ(Results(), "5 deferred 4.4.2");
    EXPECT_FALSE(transferred[0].reusable);
  }
}

TEST_F(Dialogue, AServerThatWantsContentAfterItRefusedMailGetsNone) {
  Greets("PIPELINING");
  server.Expects("MAIL");
  server.Expects("RCPT");
  server.Expects("DATA");
  server.SaysRaw("550 5.7.1 no\r\n250 ok\r\n354 go on\r\n");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org"}));
  EXPECT_EQ(Results(), "5 failed 5.7.1");
  EXPECT_FALSE(transferred[0].reusable);
}

TEST_F(Dialogue, AReplyThatIsNoneEndsTheConnection) {
  struct Row {
    const char* label;
    const char* reply;
  };
  for (const Row& row :
       {Row{"no code", "hello\r\n"}, Row{"code out of range", "199 ok\r\n"},
        Row{"codes differ", "250-ok\r\n251 ok\r\n"}, Row{"an odd separator", "250_ok\r\n"}}) {
    SCOPED_TRACE(row.label);
    server = test::ScriptedPeer();
    transferred.clear();
    Greets("X-NOTHING");
    server.Expects("MAIL");
    server.SaysRaw(row.reply);
    server.ExpectsClose();
    Bring(WorkFor({"b@example.org"}));
    EXPECT_EQ(Results(), "5 deferred 4.4.2");
    EXPECT_FALSE(transferred[0].reusable);
  }
}

TEST_F(Dialogue, AReplyWithoutEndIsBounded) {
  Greets("X-NOTHING");
  server.Expects("MAIL");
  std::string endless;
  for (int i = 0; i < 200; ++i) endless += "250-more\r\n";
  server.SaysRaw(endless);
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org"}));
  EXPECT_EQ(Results(), "5 deferred 4.4.2");
}

TEST_F(Dialogue, RepliesMayComeOneOctetAtATime) {
  stream_options.max_octets_per_receive = 1;
  Greets("PIPELINING");
  server.Expects("MAIL");
  server.Expects("RCPT");
  server.Expects("DATA");
  server.SaysRaw("250-ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n");
  server.ExpectsUntil(".");
  server.Says("250 ok");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org"}));
  EXPECT_EQ(Results(), "5 relayed 2.0.0");
}

// RFC 5321 §4.5.3.1.10: "too many recipients" by the old code is no verdict on the recipient.
TEST_F(Dialogue, Code552ToRcptIsTooManyRecipientsUnlessItSaysOtherwise) {
  Greets("PIPELINING");
  server.Expects("MAIL");
  server.Expects("RCPT");
  server.Expects("RCPT");
  server.Expects("RCPT");
  server.Expects("DATA");
  server.SaysRaw(
      "250 ok\r\n250 ok\r\n552 too many recipients\r\n552 5.2.2 mailbox full\r\n354 go on\r\n");
  server.ExpectsUntil(".");
  server.Says("250 ok");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org", "c@example.org", "d@example.org"}));
  EXPECT_EQ(Results(), "5 relayed 2.0.0, 6 deferred 4.5.3, 7 failed 5.2.2");
}

TEST_F(Dialogue, WhereTheServerLeavesDecidesNothingButWhatItSaid) {
  // How much of a complete dialogue the server says before it is gone.
  const std::vector<std::string> replies = {"250 ok\r\n", "250 ok\r\n", "550 5.1.1 no\r\n",
                                            "354 go on\r\n"};
  for (size_t said = 0; said <= replies.size(); ++said) {
    SCOPED_TRACE(said);
    server = test::ScriptedPeer();
    transferred.clear();
    Greets("PIPELINING");
    for (const char* command : {"MAIL", "RCPT", "RCPT", "DATA"}) server.Expects(command);
    for (size_t i = 0; i < said; ++i) server.SaysRaw(replies[i]);
    if (said == replies.size()) server.ExpectsUntil(".");
    server.Does([this] { far_end_->Close(); });
    Bring(WorkFor({"b@example.org", "c@example.org"}));
    EXPECT_EQ(Results(), said >= 3 ? "5 deferred 4.4.2, 6 failed 5.1.1"
                                   : "5 deferred 4.4.2, 6 deferred 4.4.2");
    ASSERT_EQ(transferred.size(), 1u);
    EXPECT_FALSE(transferred[0].reusable);
    EXPECT_EQ(transferred[0].try_elsewhere, said == 0) << "before MAIL nothing was decided";
  }
}

TEST_F(Dialogue, ASilentServerCostsTheTimeOfItsStepAndNoMore) {
  Greets("PIPELINING");
  for (const char* command : {"MAIL", "RCPT", "DATA"}) server.Expects(command);
  server.SaysRaw("250 ok\r\n250 ok\r\n354 go on\r\n");
  server.ExpectsUntil(".");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org"}));
  EXPECT_EQ(Results(), "5 deferred 4.4.2");
  EXPECT_EQ(elapsed, absl::Minutes(10)) << "RFC 5321 section 4.5.3.2.6";
}

// A server that breaks off in the middle of the content says why before it goes.
TEST_F(Dialogue, WhatTheServerSaidBeforeItClosedInTheContentCounts) {
  stream_options.window_octets = 4096;
  Greets("CHUNKING");
  server.Expects("MAIL");
  server.Says("250 ok");
  server.Expects("RCPT");
  server.Says("250 ok");
  server.Expects("BDAT");
  server.Says("552 5.3.4 too large");
  server.Does([this] { far_end_.reset(); });
  Bring(WorkFor({"b@example.org"}, "A: b\r\n\r\n" + std::string(100000, 'x') + "\r\n"));
  EXPECT_EQ(Results(), "5 failed 5.3.4");
  EXPECT_FALSE(transferred[0].reusable);
}

TEST_F(Dialogue, SuccessBeforeTheContentHasEndedIsNoDelivery) {
  stream_options.window_octets = 4096;
  Greets("CHUNKING");
  server.Expects("MAIL");
  server.Says("250 ok");
  server.Expects("RCPT");
  server.Says("250 ok");
  server.Expects("BDAT");
  server.Says("250 taken");
  server.Does([this] { far_end_.reset(); });
  Bring(WorkFor({"b@example.org"}, "A: b\r\n\r\n" + std::string(100000, 'x') + "\r\n"));
  EXPECT_EQ(Results(), "5 deferred 4.4.2");
}

TEST_F(Dialogue, LmtpAnswersForEachRecipientItTook) {
  lmtp = true;
  Greets("PIPELINING ENHANCEDSTATUSCODES");
  for (const char* command : {"MAIL", "RCPT", "RCPT", "RCPT", "DATA"}) server.Expects(command);
  server.SaysRaw("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go on\r\n");
  server.ExpectsUntil(".");
  server.SaysRaw("452 4.2.2 quota\r\n250 2.1.5 stored\r\n");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org", "c@example.org", "d@example.org"}));
  EXPECT_EQ(Results(), "5 deferred 4.2.2, 6 failed 5.1.1, 7 delivered 2.1.5");
}

TEST_F(Dialogue, LmtpRepliesThatDoNotComeAreDeferrals) {
  lmtp = true;
  Greets("PIPELINING");
  for (const char* command : {"MAIL", "RCPT", "RCPT", "DATA"}) server.Expects(command);
  server.SaysRaw("250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n");
  server.ExpectsUntil(".");
  server.Says("250 stored");
  server.Does([this] { far_end_->Close(); });
  Bring(WorkFor({"b@example.org", "c@example.org"}));
  EXPECT_EQ(Results(), "5 delivered 2.0.0, 6 deferred 4.4.2");
}

TEST_F(Dialogue, ARecipientThatCannotGoDoesNotKeepTheOthers) {
  Greets("PIPELINING");
  server.Expects("MAIL FROM:<a@example.net>");
  server.Expects("RCPT TO:<c@example.org>");
  server.Expects("DATA");
  server.SaysRaw("250 ok\r\n250 ok\r\n354 go on\r\n");
  server.ExpectsUntil(".");
  server.Says("250 ok");
  server.ExpectsClose();
  Work work = WorkFor({"b\xc3\xbc@example.org", "c@example.org"});
  work.job.smtputf8 = true;
  Bring(std::move(work));
  EXPECT_EQ(Results(), "5 failed 5.6.7, 6 relayed 2.0.0");
}

TEST_F(Dialogue, EhloNotKnownThenHelo) {
  server.Says("220 mx.example.org");
  server.Expects("EHLO");
  server.Says("500 what?");
  server.Expects("HELO mail.example.net");
  server.Says("250 mx.example.org");
  server.Expects("MAIL FROM:<a@example.net>");
  server.Says("550 5.7.1 no");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org"}));
  EXPECT_EQ(Results(), "5 failed 5.7.1");
}

TEST_F(Dialogue, AGreetingThatRefusesOpensNothing) {
  server.Says("554 5.3.2 no service");
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org"}));
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->code, 554);
  EXPECT_TRUE(transferred.empty());
}

TEST_F(Dialogue, NoGreetingWithinItsTime) {
  server.ExpectsClose();
  Bring(WorkFor({"b@example.org"}));
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(elapsed, absl::Minutes(5)) << "RFC 5321 section 4.5.3.2.1";
}

}  // namespace
}  // namespace postern::smtpc
