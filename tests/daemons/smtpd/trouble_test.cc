// policyd and qmgr: away, refusing, or in an attacker's hands. Trouble of ours is 4yz.
#include "tests/daemons/smtpd/session_fixture.h"

namespace postern::smtpd {
namespace {

using protocol::policy::Decision;
using protocol::policy::Verdict;
using ::testing::IsEmpty;
using ::testing::SizeIs;

protocol::ReplyText Text(uint16_t code, std::string enhanced, std::string text) {
  return {.code = code, .enhanced = std::move(enhanced), .text = std::move(text)};
}

TEST_F(SessionTest, WithoutAPolicyNobodyIsLetIn) {
  host.on_connect = [](const auto&) { return absl::UnavailableError("no policy process"); };
  peer.ExpectsReply("421 4.3.0 local trouble");
  peer.ExpectsClose();
  Run();
  EXPECT_FALSE(accepted_by_policy);
}

TEST_F(SessionTest, WithoutAPolicyRecipientsAreDeferred) {
  Hello();
  Says("MAIL FROM:<a@client.example>", "250");
  peer.Does([this] {
    host.on_recipient = [](const auto&) { return absl::UnavailableError("no policy process"); };
  });
  Dialogue({{"RCPT TO:<alice@example.org>", "451 4.3.0"},
            {"RCPT TO:<bob@example.org>", "451 4.3.0"},
            {"DATA", "554 5.5.1"}});
  Run();
  EXPECT_THAT(host.messages, IsEmpty());
}

TEST_F(SessionTest, PolicySaysWhoIsSentAwayAndHow) {
  struct {
    const char* label;
    Decision decision;
    protocol::ReplyText text;
    const char* expect;
  } const rows[] = {
      {"a limit", Decision::kDefer, Text(421, "4.7.0", "too many connections from your address"),
       "421 4.7.0 too many connections from your address"},
      {"a refusal", Decision::kReject, Text(554, "5.7.1", "go away"), "554 5.7.1 go away"},
      {"no words", Decision::kReject, {}, "554 5.7.1 client refused"},
      {"no words", Decision::kDefer, {}, "421 4.3.0 local trouble"},
      {"a lie", Decision::kReject, Text(220, "2.0.0", "come in"), "554 5.7.1 client refused"},
      {"no such decision here", Decision::kDiscard, {}, "421 4.3.0 local trouble"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.label);
    host.on_connect = [&](const auto&) -> absl::StatusOr<Verdict> {
      return Verdict{.decision = row.decision, .reply = row.text};
    };
    peer = test::ScriptedPeer();
    peer.ExpectsReply(row.expect);
    peer.ExpectsClose();
    Run();
    EXPECT_FALSE(accepted_by_policy);
  }
}

TEST_F(SessionTest, VerdictsOnRecipientsAreSaidAsTheyAreButNeverAsTheirOpposite) {
  struct {
    const char* label;
    Decision decision;
    protocol::ReplyText text;
    const char* expect;
  } const rows[] = {
      {"its words", Decision::kReject, Text(550, "5.7.1", "relaying denied"),
       "550 5.7.1 relaying denied"},
      {"several lines", Decision::kReject, Text(553, "5.1.2", "one\ntwo"), "553 5.1.2 two"},
      {"a 4yz of a rejection", Decision::kReject, Text(451, "4.7.1", "not yet"), "451 4.7.1 not"},
      {"no words", Decision::kReject, {}, "550 5.7.1 recipient refused"},
      {"no words", Decision::kDefer, {}, "450 4.7.1 try again later"},
      {"a 250 that refuses", Decision::kReject, Text(250, "2.1.5", "fine"), "550 5.7.1"},
      {"a 354 that defers", Decision::kDefer, Text(354, "", "go on"), "450 4.7.1"},
      {"no code at all", Decision::kReject, Text(7, "5.0.0", "x"), "550 5.7.1"},
      {"beyond the codes", Decision::kReject, Text(600, "5.0.0", "x"), "550 5.7.1"},
      {"another class behind the code", Decision::kReject, Text(550, "2.1.5", "no"), "550 no"},
      {"no enhanced code", Decision::kReject, Text(550, "5.1", "no"), "550 no"},
      {"its words for yes", Decision::kAccept, Text(251, "2.1.5", "will forward"),
       "251 2.1.5 will"},
      {"a 550 that accepts", Decision::kAccept, Text(550, "5.1.1", "no"), "250 2.1.5 recipient OK"},
      {"a 354 that accepts", Decision::kAccept, Text(354, "", "go on"), "250 2.1.5 recipient OK"},
      {"lines of their own", Decision::kReject, Text(550, "5.0.0", "no\r\n250 ok"),
       "550 5.0.0 250"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.label);
    host.on_recipient = [&](const auto&) -> absl::StatusOr<Verdict> {
      return Verdict{.decision = row.decision, .reply = row.text};
    };
    peer = test::ScriptedPeer();
    Hello();
    Says("MAIL FROM:<a@client.example>", "250");
    Says("RCPT TO:<alice@example.org>", row.expect);
    Says("DATA", row.decision == Decision::kAccept ? "354" : "554 5.5.1");
    Run();
  }
}

TEST_F(SessionTest, A421OfPolicyEndsTheConnection) {
  for (const uint16_t code : {421, 521}) {
    host.on_recipient = [&](const auto&) -> absl::StatusOr<Verdict> {
      return Verdict{.decision = Decision::kDefer, .reply = Text(code, "", "enough")};
    };
    peer = test::ScriptedPeer();
    Hello();
    Says("MAIL FROM:<a@client.example>", "250");
    Says("RCPT TO:<alice@example.org>", std::to_string(code));
    peer.ExpectsClose();
    Run();
  }
}

TEST_F(SessionTest, PolicyHoldsAMessage) {
  Hello();
  Dialogue({{"MAIL FROM:<a@client.example>", "250"},
            {"RCPT TO:<alice@example.org>", "250"},
            {"RCPT TO:<hold@example.org>", "250 2.1.5"}});
  Content("x", "250 2.0.0");
  Envelope();
  Content("x", "250 2.0.0");
  host.on_recipient = [](const auto& question) {
    Verdict verdict{.decision = Decision::kHold};
    if (question.recipient.starts_with("hold")) verdict.reason = "looked at by hand";
    if (question.recipient.starts_with("alice")) verdict.decision = Decision::kAccept;
    return verdict;
  };
  Dialogue({{"MAIL FROM:<a@client.example>", "250"}, {"RCPT TO:<bob@example.org>", "250"}});
  Content("x", "250 2.0.0");
  Run();
  ASSERT_THAT(Committed(), SizeIs(3));
  EXPECT_EQ(Committed()[0]->submit.hold_reason, "looked at by hand");
  EXPECT_EQ(Committed()[0]->recipients.size(), 2u);
  EXPECT_EQ(Committed()[1]->submit.hold_reason, "") << "the next message is not held";
  EXPECT_EQ(Committed()[2]->submit.hold_reason, "policy") << "held without a reason, too";
}

TEST_F(SessionTest, WithoutAQueueMessagesAreDeferred) {
  struct {
    absl::Status status;
    const char* expect;
  } const rows[] = {
      {absl::UnavailableError("no queue manager"), "451 4.3.0"},
      {absl::ResourceExhaustedError("too many requests under way"), "452 4.3.1"},
      {absl::InvalidArgumentError("out of bounds"), "451 4.3.0"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.status.ToString());
    host.submit_status = row.status;
    peer = test::ScriptedPeer();
    Hello();
    Envelope();
    Says("DATA", row.expect);
    Envelope();
    Chunk("QUIT\r\n", true, row.expect);
    Envelope();
    Chunk("QUIT\r\n", false, row.expect);
    Chunk("QUIT\r\n", false, "503 5.5.1");
    Chunk("QUIT\r\n", true, "503 5.5.1");
    peer.Does([this] { host.submit_status = absl::OkStatus(); });
    Envelope();
    Content("x", "250 2.0.0");
    Run();
  }
}

// Whatever happens to the queue while content comes: the client hears of it at the end, once.
TEST_F(SessionTest, AQueueThatFailsWithinContentIsToldAtItsEnd) {
  struct {
    const char* label;
    absl::Status write;
    absl::Status finish;
    protocol::ReplyText refusal;
    const char* expect;
  } const rows[] = {
      {"qmgr died", absl::UnavailableError("went away"), {}, {}, "451 4.3.0"},
      {"qmgr refused early",
       absl::FailedPreconditionError("refused"),
       {},
       Text(452, "4.3.1", "no room"),
       "452 4.3.1 no room"},
      {"qmgr died at the end", {}, absl::UnavailableError("went away"), {}, "451 4.3.0"},
      {"the commit failed",
       {},
       absl::FailedPreconditionError("refused"),
       Text(451, "4.3.0", "cannot store"),
       "451 4.3.0 cannot store"},
      {"refused for good",
       {},
       absl::FailedPreconditionError("refused"),
       Text(554, "5.6.0", "no such message"),
       "554 5.6.0 no such message"},
      {"a 250 that refuses",
       {},
       absl::FailedPreconditionError("refused"),
       Text(250, "2.0.0", "accepted"),
       "451 4.3.0"},
      {"no time left", {}, absl::DeadlineExceededError("no answer"), {}, "451 4.3.0"},
  };
  for (const auto& row : rows) {
    for (const uint64_t after : {0u, 60'000u}) {
      SCOPED_TRACE(row.label);
      host.content_octets = 0;
      host.write_octets = after;
      host.write_status = row.write;
      host.finish_status = row.finish;
      host.refusal = row.refusal;
      const std::string content = "Subject: x\r\n\r\nQUIT\r\n" + std::string(100'000, 'x');
      peer = test::ScriptedPeer();
      Hello();
      Envelope();
      Content(content, row.expect);
      peer.Does([this] { host.content_octets = 0; });
      Envelope();
      Chunk(content, true, row.expect);
      Says("NOOP", "250 2.0.0 OK");
      Run();
    }
  }
  EXPECT_THAT(Committed(), IsEmpty());
  for (const auto& message : host.messages) EXPECT_TRUE(message->taken_back);
}

TEST_F(SessionTest, AQueueThatFailsWithinAChunkIsToldBehindIt) {
  host.write_status = absl::UnavailableError("went away");
  Hello();
  Envelope();
  Chunk("one\r\n", false, "451 4.3.0");
  Chunk("two\r\n", false, "503 5.5.1");
  Chunk("end\r\n", true, "503 5.5.1");
  Run();
  EXPECT_THAT(host.messages, SizeIs(1));
}

TEST_F(SessionTest, DeferralsAreNoErrorsOfTheClient) {
  host.submit_status = absl::UnavailableError("no queue manager");
  host.mutable_settings().smtp.max_errors = 1;
  Hello();
  for (int i = 0; i < 30; ++i) {
    Envelope();
    Says("DATA", "451 4.3.0");
  }
  Run();
  EXPECT_EQ(counters.errors, 0u);
}

}  // namespace
}  // namespace postern::smtpd
