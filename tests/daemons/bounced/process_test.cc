// The daemon itself, confined as ever: this test is its master and its qmgr.
#include <map>
#include <string>
#include <vector>

#include "common/ipc/protocol/qmgr_bounced.h"
#include "daemons/bounced/bounced.h"
#include "tests/daemons/started_daemon.h"
#include "tests/testing/run_in_loop.h"

namespace postern::bounced {
namespace {

namespace control = protocol::control;
namespace notice = protocol::notice;
namespace submission = protocol::submission;

struct Submitted {
  submission::Submit submit;
  std::vector<submission::Recipient> recipients;
  std::string content;
  bool ended = false;
};

// Takes submissions, and gives each the outcome the test wants.
class FakeQueue final : public ipc::FrameHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override {
    Submitted& one = by_id[frame.id];
    switch (frame.type) {
      case submission::kSubmit: {
        ASSIGN_OR_RETURN(one.submit, ipc::DecodeFrame<submission::Submit>(frame));
        return absl::OkStatus();
      }
      case submission::kRecipients: {
        ASSIGN_OR_RETURN(one.recipients, Recipients(frame));
        return absl::OkStatus();
      }
      case submission::kContent: {
        ASSIGN_OR_RETURN(const auto piece, ipc::DecodeFrame<submission::Content>(frame));
        one.content += piece.bytes;
        const submission::Credit credit{.octets = static_cast<uint32_t>(piece.bytes.size())};
        return channel->Send(frame.id, credit);
      }
      default: {
        one.ended = frame.type == submission::kEnd;
        const submission::Done done{.outcome = outcome, .reply = reply};
        return channel->Send(frame.id, done);
      }
    }
  }
  static absl::StatusOr<std::vector<submission::Recipient>> Recipients(const ipc::Frame& frame) {
    ASSIGN_OR_RETURN(auto recipients, ipc::DecodeFrame<submission::Recipients>(frame));
    return std::move(recipients.recipients);
  }

  ipc::Channel* channel = nullptr;
  submission::Outcome outcome = submission::Outcome::kCommitted;
  protocol::ReplyText reply;
  std::map<uint32_t, Submitted> by_id;
};

// Answers to Call never come here.
class NoFrames final : public ipc::FrameHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override { return DataLoss("type ", int{frame.type}); }
};

notice::Notice FailureOf(std::string sender, uint64_t id) {
  notice::Notice asked;
  asked.kind = notice::Kind::kFailure;
  asked.queue_id = 1;
  asked.notice_id = id;
  asked.sender = std::move(sender);
  asked.returned = "Subject: lost\r\n\r\nbody\r\n";
  asked.complete = true;
  asked.content_octets = asked.returned.size();
  asked.recipients = {{.address = "gone@example.com",
                       .orcpt = {},
                       .notify = 0,
                       .relayed = false,
                       .status = "5.1.1",
                       .diagnostic = "550 5.1.1 no such user",
                       .remote_words = true,
                       .remote = "mx.example.com",
                       .last_attempt_us = 0}};
  return asked;
}

class BouncedProcess : public test::OnBothBackends {
 protected:
  void SetUp() override {
    test::OnBothBackends::SetUp();
    if (!IsSkipped() && test::kSanitized) GTEST_SKIP() << "built with a sanitizer";
  }

  // Asks for all notices at once; the answers come in the same order.
  void AskAll(const std::vector<notice::Notice>& notices, bool with_way_back = true) {
    answers.resize(notices.size());
    Run(Ask(notices, with_way_back));
  }

  io::Task<absl::Status> Ask(const std::vector<notice::Notice>& notices, bool with_way_back) {
    io::TaskScope scope;
    test::StartedDaemon bounced(*loop, scope, POSTERN_BOUNCED,
                                test::ConfigureFor(control::Role::kBounced, GetParam(),
                                                   "[relay]\ndomains = [\"relay.example\"]\n"));
    control::EdgeEnd which;
    which.peer_index = 3;  // any shard: the notice goes back to the one that asked
    which.kind = control::EdgeKind::kQmgrBounced;
    NoFrames no_frames;
    ipc::Channel questions(*loop, bounced.AddEdge(which), protocol::kQmgrBounced, ipc::Side::kA);
    scope.Spawn(questions.Run(no_frames));
    which.kind = control::EdgeKind::kBouncedQmgr;
    if (!with_way_back) which.peer_index = 4;
    ipc::Channel way_back(*loop, bounced.AddEdge(which), protocol::kBouncedQmgr, ipc::Side::kB);
    queue.channel = &way_back;
    scope.Spawn(way_back.Run(queue));
    const absl::Status ended = co_await bounced.Begin(loop->After(absl::Seconds(20)));
    io::TaskScope asking;
    for (size_t i = 0; i < notices.size() && ended.ok(); ++i)
      asking.Spawn(AskOne(questions, notices[i], answers[i]));
    co_await asking.Join();
    bounced.RequestStop();
    co_await scope.Join();
    EXPECT_EQ(bounced.WaitForEnd(), 0);
    co_return ended;
  }
  io::Task<absl::Status> AskOne(ipc::Channel& questions, const notice::Notice& asked,
                                notice::NoticeDone& answer) {
    CO_ASSIGN_OR_RETURN(
        answer, co_await questions.Call<notice::NoticeDone>(asked, loop->After(absl::Seconds(20))));
    co_return absl::OkStatus();
  }

  FakeQueue queue;
  std::vector<notice::NoticeDone> answers;
};
ON_BOTH_BACKENDS(BouncedProcess);

TEST_P(BouncedProcess, SubmitsTheNoticeBeforeItAnswers) {
  AskAll({FailureOf("a@example.net", 77)});
  EXPECT_EQ(answers[0].outcome, notice::Outcome::kSubmitted) << answers[0].reason;
  ASSERT_EQ(queue.by_id.size(), 1u);
  const Submitted& one = queue.by_id.begin()->second;
  EXPECT_TRUE(one.ended);
  EXPECT_EQ(one.submit.queue_id, 77u);
  EXPECT_EQ(one.submit.sender, "") << "a notice has the null sender";
  EXPECT_EQ(one.submit.prepend, "");
  EXPECT_EQ(one.submit.announced_octets, one.content.size());
  ASSERT_EQ(one.recipients.size(), 1u);
  EXPECT_EQ(one.recipients[0].address, "a@example.net");
  EXPECT_EQ(one.recipients[0].notify, protocol::kNotifyNever);
  EXPECT_EQ(one.recipients[0].kind, protocol::RecipientClass::kRemote);
  for (const char* part : {"multipart/report", "Final-Recipient: rfc822;gone@example.com",
                           "Status: 5.1.1", "Subject: lost"})
    EXPECT_NE(one.content.find(part), std::string::npos) << part;
}

TEST_P(BouncedProcess, GoesTheWayOfItsRecipient) {
  AskAll({FailureOf("a@example.org", 1), FailureOf("a@relay.example", 2),
          FailureOf("a@example.net", 3)});
  std::map<std::string, protocol::RecipientClass> kinds;
  for (const auto& [id, one] : queue.by_id)
    kinds[one.recipients.at(0).address] = one.recipients.at(0).kind;
  EXPECT_EQ(kinds["a@example.org"], protocol::RecipientClass::kLocal);
  EXPECT_EQ(kinds["a@relay.example"], protocol::RecipientClass::kRelay);
  EXPECT_EQ(kinds["a@example.net"], protocol::RecipientClass::kRemote);
}

TEST_P(BouncedProcess, IsNotWantedWhereTheRulesSayNo) {
  notice::Notice never = FailureOf("a@example.net", 1);
  never.recipients[0].notify = protocol::kNotifyNever;
  notice::Notice success = FailureOf("a@example.net", 2);
  success.kind = notice::Kind::kSuccess;
  success.recipients[0].status = "2.0.0";
  notice::Notice for_a_notice = FailureOf("", 3);
  AskAll({never, success, for_a_notice});
  for (const notice::NoticeDone& answer : answers)
    EXPECT_EQ(answer.outcome, notice::Outcome::kNotWanted) << answer.reason;
  EXPECT_TRUE(queue.by_id.empty());
}

TEST_P(BouncedProcess, FailsWithTheQueuesReasonWhenItRefuses) {
  queue.outcome = submission::Outcome::kRefused;
  queue.reply = {.code = 452, .enhanced = "4.3.1", .text = "the disk is full"};
  AskAll({FailureOf("a@example.net", 1)});
  EXPECT_EQ(answers[0].outcome, notice::Outcome::kFailed);
  EXPECT_NE(answers[0].reason.find("the disk is full"), std::string::npos) << answers[0].reason;
}

TEST_P(BouncedProcess, FailsWithoutAWayBackToTheShardThatAsks) {
  AskAll({FailureOf("a@example.net", 1)}, false);
  EXPECT_EQ(answers[0].outcome, notice::Outcome::kFailed);
  EXPECT_FALSE(answers[0].reason.empty());
  EXPECT_TRUE(queue.by_id.empty());
}

// As many as the edge lets qmgr ask at once, each with a whole message to return: more than the
// credit a submission begins with.
TEST_P(BouncedProcess, WritesAsManyNoticesAtOnceAsTheEdgeAllows) {
  std::string whole = "Subject: lost\r\n\r\n";
  while (whole.size() + 80 < notice::kMaxReturned) whole += std::string(76, 'x') + "\r\n";
  std::vector<notice::Notice> notices;
  for (uint64_t i = 0; i < protocol::kQmgrBounced.max_open; ++i) {
    notices.push_back(FailureOf("a@example.net", i + 1));
    notices.back().ret = protocol::Ret::kFull;
    notices.back().returned = whole;
    notices.back().content_octets = whole.size();
  }
  AskAll(notices);
  for (const notice::NoticeDone& answer : answers)
    EXPECT_EQ(answer.outcome, notice::Outcome::kSubmitted) << answer.reason;
  EXPECT_EQ(queue.by_id.size(), notices.size());
  for (const auto& [id, one] : queue.by_id) {
    EXPECT_GT(one.content.size(), submission::kInitialCredit);
    EXPECT_EQ(one.content.size(), one.submit.announced_octets);
  }
}

}  // namespace
}  // namespace postern::bounced
