#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "common/io/scope.h"
#include "common/ipc/channel.h"
#include "common/ipc/protocol/qmgr_smtpc.h"
#include "common/ipc/protocol/smtpd_policyd.h"
#include "common/ipc/protocol/smtpd_qmgr.h"
#include "tests/testing/run_in_loop.h"

namespace postern::ipc {
namespace {

namespace delivery = protocol::delivery;
namespace policy = protocol::policy;
namespace submission = protocol::submission;

delivery::Job SampleJob() {
  delivery::Job job;
  job.queue_id = 0x1122334455667788;
  job.domain = "example.org";
  job.sender = "a@example.net";
  job.inline_content = "Subject: x\r\n\r\nbody\r\n";
  job.recipients = {
      {.index = 3, .address = "b@example.org", .orcpt = "rfc822;b@example.org", .notify = 2},
      {.index = 4, .address = "c@example.org", .orcpt = {}, .notify = 0}};
  return job;
}

TEST(Codec, WhatIsDecodedIsEncodedAgainTheSame) {
  std::string bytes;
  ASSERT_TRUE(Encode(SampleJob(), bytes));
  const Parsed<delivery::Job> job = Decode<delivery::Job>(bytes);
  ASSERT_TRUE(job.has_value()) << job.error().reason;
  EXPECT_EQ(job->recipients[1].address, "c@example.org");
  EXPECT_EQ(job->inline_content, SampleJob().inline_content);
  std::string again;
  ASSERT_TRUE(Encode(*job, again));
  EXPECT_EQ(bytes, again);
}

TEST(Codec, EveryTruncationAndATrailingOctetAreRefused) {
  std::string bytes;
  ASSERT_TRUE(Encode(SampleJob(), bytes));
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(Decode<delivery::Job>(std::string_view(bytes).substr(0, length)).has_value())
        << length;
  }
  EXPECT_FALSE(Decode<delivery::Job>(bytes + '\0').has_value());
}

TEST(Codec, BoundsHoldAtTheirEdgeOnBothSides) {
  policy::RecipientQuestion question;
  question.recipient = std::string(protocol::kMaxAddress, 'a');
  std::string bytes;
  EXPECT_TRUE(Encode(question, bytes));
  EXPECT_TRUE(Decode<policy::RecipientQuestion>(bytes).has_value());
  question.recipient += 'a';
  std::string over;
  EXPECT_FALSE(Encode(question, over));
  EXPECT_FALSE(Decode<policy::RecipientQuestion>(over).has_value());
}

TEST(Codec, AnEnumeratorBeyondTheLastIsRefused) {
  policy::Verdict verdict;
  std::string bytes;
  ASSERT_TRUE(Encode(verdict, bytes));
  bytes[0] = static_cast<char>(policy::kLastDecision);
  EXPECT_TRUE(Decode<policy::Verdict>(bytes).has_value());
  bytes[0] = static_cast<char>(policy::kLastDecision + 1);
  EXPECT_FALSE(Decode<policy::Verdict>(bytes).has_value());
}

TEST(Codec, PrintingEscapesForeignText) {
  policy::RecipientQuestion question;
  question.helo = "evil\r\nline";
  EXPECT_NE(ToText(question).find("helo=\"evil\\r\\nline\""), std::string::npos)
      << ToText(question);
}

TEST(Frame, UnknownFlagsAndTooLargePayloadsAreRefused) {
  std::string head;
  AppendFrameHeader(head, {.payload_octets = 10, .type = 1, .has_descriptor = true, .id = 5});
  ASSERT_EQ(head.size(), kFrameHeaderOctets);
  EXPECT_TRUE(ParseFrameHeader(head, 10).has_value());
  EXPECT_TRUE(ParseFrameHeader(head, 10)->has_descriptor);
  EXPECT_FALSE(ParseFrameHeader(head, 9).has_value());
  head[5] = 2;
  EXPECT_FALSE(ParseFrameHeader(head, 10).has_value());
}

TEST(Conversations, OnlyWhatTheTableAllowsMovesOn) {
  Conversations open(protocol::kSmtpdQmgr);
  EXPECT_FALSE(open.Advance(Side::kA, submission::kContent, 1).has_value())
      << "content before its stream";
  EXPECT_FALSE(open.Advance(Side::kB, submission::kSubmit, 2).has_value()) << "the wrong side";
  EXPECT_FALSE(open.Advance(Side::kA, submission::kSubmit, 2).has_value()) << "the other side's id";
  EXPECT_FALSE(open.Advance(Side::kA, 99, 1).has_value()) << "no such type";
  EXPECT_TRUE(open.Advance(Side::kA, submission::kSubmit, 1).has_value());
  EXPECT_FALSE(open.Advance(Side::kA, submission::kSubmit, 1).has_value()) << "opened twice";
  EXPECT_TRUE(open.Advance(Side::kA, submission::kContent, 1).has_value());
  EXPECT_FALSE(open.Advance(Side::kB, submission::kDone, 1).has_value()) << "done before the end";
  EXPECT_TRUE(open.Advance(Side::kA, submission::kEnd, 1).has_value());
  EXPECT_TRUE(open.Advance(Side::kB, submission::kCredit, 1).has_value())
      << "credit may cross the end";
  EXPECT_FALSE(open.Advance(Side::kA, submission::kContent, 1).has_value())
      << "content after the end";
  EXPECT_TRUE(open.Advance(Side::kB, submission::kDone, 1).has_value());
  EXPECT_EQ(open.open(Side::kA), 0u);
}

TEST(Conversations, OpenOnesAreCountedUpToTheLimit) {
  Conversations open(protocol::kSmtpdQmgr);
  for (uint32_t i = 0; i < submission::kMaxOpenStreams; ++i)
    ASSERT_TRUE(open.Advance(Side::kA, submission::kSubmit, 2 * i + 1).has_value());
  EXPECT_FALSE(
      open.Advance(Side::kA, submission::kSubmit, 2 * submission::kMaxOpenStreams + 1).has_value());
}

class Channels : public test::OnBothBackends {};
ON_BOTH_BACKENDS(Channels);

std::pair<UniqueFd, UniqueFd> Pair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Answers each question with the reversed recipient as its reason.
class Answering final : public FrameHandler {
 public:
  explicit Answering(Channel& channel) : channel_(channel) {}
  absl::Status OnFrame(Frame& frame) override {
    ++frames;
    ASSIGN_OR_RETURN(const auto question, DecodeFrame<policy::RecipientQuestion>(frame));
    policy::Verdict verdict;
    verdict.reason = std::string(question.recipient.rbegin(), question.recipient.rend());
    return channel_.Send(frame.id, verdict);
  }
  int frames = 0;

 private:
  Channel& channel_;
};

class Ignoring final : public FrameHandler {
 public:
  absl::Status OnFrame(Frame& frame) override {
    ++frames;
    descriptor = std::move(frame.descriptor);
    return absl::OkStatus();
  }
  int frames = 0;
  UniqueFd descriptor;
};

io::Task<absl::Status> RunInto(Channel& channel, FrameHandler& handler, absl::Status& ended) {
  ended = co_await channel.Run(handler);
  co_return absl::OkStatus();
}

io::Task<absl::Status> AskOne(Channel& channel, std::string who, int& right, io::Deadline until) {
  policy::RecipientQuestion question;
  question.recipient = who;
  const auto verdict = co_await channel.Call<policy::Verdict>(question, until);
  if (verdict.ok() && verdict->reason == std::string(who.rbegin(), who.rend())) ++right;
  co_return absl::OkStatus();
}

io::Task<absl::Status> AskMany(io::Loop& loop, int& right) {
  auto [a, b] = Pair();
  Channel asking(loop, std::move(a), protocol::kSmtpdPolicyd, Side::kA);
  Channel answering(loop, std::move(b), protocol::kSmtpdPolicyd, Side::kB);
  Answering answers(answering);
  Ignoring nothing;
  absl::Status one;
  absl::Status other;
  io::TaskScope scope;
  scope.Spawn(RunInto(asking, nothing, one));
  scope.Spawn(RunInto(answering, answers, other));
  io::TaskScope questions;
  for (int i = 0; i < 1000; ++i)
    questions.Spawn(AskOne(asking, "user" + std::to_string(i) + "@example.org", right,
                           loop.After(absl::Seconds(20))));
  co_await questions.Join();
  asking.Close();
  answering.Close();
  co_await scope.Join();
  co_await io::YieldTurn();
  co_return absl::OkStatus();
}

TEST_P(Channels, AThousandPipelinedQuestionsGetTheirOwnAnswers) {
  int right = 0;
  Run(AskMany(*loop, right));
  EXPECT_EQ(right, 1000);
}

io::Task<absl::Status> PassDescriptor(io::Loop& loop, std::string& read) {
  auto [a, b] = Pair();
  Channel giving(loop, std::move(a), protocol::kQmgrSmtpc, Side::kA);
  Channel taking(loop, std::move(b), protocol::kQmgrSmtpc, Side::kB);
  Ignoring got;
  absl::Status ended;
  io::TaskScope scope;
  scope.Spawn(RunInto(taking, got, ended));
  char name[] = "/tmp/postern-ipc-XXXXXX";
  UniqueFd file(::mkstemp(name));
  if (::write(file.get(), "content", 7) != 7) co_return ErrnoStatus(errno, "write");
  ::unlink(name);
  const delivery::Job job = SampleJob();
  CO_RETURN_IF_ERROR(giving.Send(giving.NewId(), job));  // one without in front, in the same send
  CO_RETURN_IF_ERROR(giving.Send(giving.NewId(), job, std::move(file)));
  while (got.frames < 2)
    IgnoreStatus(co_await io::Sleep(loop.After(absl::Milliseconds(1))), "waits for the frames");
  read.resize(7);
  if (!got.descriptor.valid() || ::pread(got.descriptor.get(), read.data(), 7, 0) != 7)
    read = "nothing";
  giving.Close();
  taking.Close();
  co_await scope.Join();
  co_await io::YieldTurn();
  co_return absl::OkStatus();
}

TEST_P(Channels, ADescriptorArrivesWithItsOwnMessage) {
  std::string read;
  Run(PassDescriptor(*loop, read));
  EXPECT_EQ(read, "content");
}

// What a compromised sibling may write, and how its channel must end.
io::Task<absl::Status> Feed(io::Loop& loop, std::string bytes, absl::Status& ended, int& frames) {
  auto [a, b] = Pair();
  Channel channel(loop, std::move(b), protocol::kSmtpdQmgr, Side::kB);
  Ignoring handler;
  io::TaskScope scope;
  scope.Spawn(RunInto(channel, handler, ended));
  for (std::string_view left = bytes; !left.empty();) {
    const ssize_t sent = ::send(a.get(), left.data(), std::min<size_t>(left.size(), 1000),
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) break;
    if (sent > 0) left.remove_prefix(static_cast<size_t>(sent));
    IgnoreStatus(co_await io::Sleep(loop.After(absl::Microseconds(100))), "lets the loop turn");
    if (!channel.open()) break;
  }
  a.reset();
  co_await scope.Join();
  frames = handler.frames;
  co_await io::YieldTurn();
  co_return absl::OkStatus();
}

std::string FrameOf(uint8_t type, uint32_t id, std::string payload) {
  std::string frame;
  AppendFrameHeader(
      frame, {.payload_octets = static_cast<uint32_t>(payload.size()), .type = type, .id = id});
  return frame + payload;
}

TEST_P(Channels, ABrokenFrameEndsTheChannelAndNotTheProcess) {
  std::string submit;
  ASSERT_TRUE(Encode(submission::Submit{}, submit));
  const struct {
    const char* label;
    std::string bytes;
    int frames;
    bool broken;
  } cases[] = {
      {"orderly", FrameOf(submission::kSubmit, 1, submit), 1, false},
      {"out of phase", FrameOf(submission::kEnd, 1, ""), 0, true},
      {"unknown type", FrameOf(77, 1, ""), 0, true},
      {"too large", std::string("\xff\xff\xff\x7f\x01\x00\x00\x00\x01\x00\x00\x00", 12), 0, true},
      {"cut off", FrameOf(submission::kSubmit, 1, submit).substr(0, 20), 0, true},
      {"good then bad",
       FrameOf(submission::kSubmit, 1, submit) + FrameOf(submission::kSubmit, 1, submit), 1, true},
  };
  for (const auto& row : cases) {
    absl::Status ended;
    int frames = -1;
    Run(Feed(*loop, row.bytes, ended, frames));
    EXPECT_EQ(frames, row.frames) << row.label;
    EXPECT_EQ(absl::IsDataLoss(ended), row.broken) << row.label << ": " << ended;
  }
}

}  // namespace
}  // namespace postern::ipc
