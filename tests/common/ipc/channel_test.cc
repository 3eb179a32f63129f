#include "common/ipc/channel.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "common/io/scope.h"
#include "common/ipc/protocol/catalogue.h"
#include "tests/common/ipc/sample_job.h"
#include "tests/testing/run_in_loop.h"

namespace postern::ipc {
namespace {

namespace delivery = protocol::delivery;
namespace policy = protocol::policy;
namespace submission = protocol::submission;

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

// ---- Descriptors: what a compromised sibling may do with them.

enum class Fd { kNone, kFile, kPipe, kTwoFiles };

UniqueFd Temporary() { return UniqueFd(::memfd_create("content", MFD_CLOEXEC)); }

// Writes octets with descriptors behind the channel's back.
void SendRaw(int socket, std::string_view bytes, Fd what) {
  const UniqueFd file = Temporary();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (what != Fd::kNone) {
    const int fds[2] = {what == Fd::kPipe ? reader.get() : file.get(), file.get()};
    const size_t octets = (what == Fd::kTwoFiles ? 2 : 1) * sizeof(int);
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(octets);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(octets);
    std::memcpy(CMSG_DATA(header), fds, octets);
  }
  ASSERT_EQ(::sendmsg(socket, &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

struct RawPiece {
  std::string bytes;
  Fd descriptor = Fd::kNone;
};

io::Task<absl::Status> FeedPieces(io::Loop& loop, const Edge& edge, std::vector<RawPiece> pieces,
                                  absl::Status& ended, Ignoring& handler) {
  auto [a, b] = Pair();
  Channel channel(loop, std::move(b), edge, Side::kB);
  io::TaskScope scope;
  scope.Spawn(RunInto(channel, handler, ended));
  for (const RawPiece& piece : pieces) SendRaw(a.get(), piece.bytes, piece.descriptor);
  a.reset();
  co_await scope.Join();
  co_await io::YieldTurn();
  co_return absl::OkStatus();
}

int LowestFreeDescriptor() {
  const UniqueFd fd(::dup(0));
  return fd.get();
}

std::string Frames(uint8_t type, uint32_t id, const std::string& payload, bool flagged) {
  std::string frame;
  AppendFrameHeader(frame, {.payload_octets = static_cast<uint32_t>(payload.size()),
                            .type = type,
                            .has_descriptor = flagged,
                            .id = id});
  return frame + payload;
}

TEST_P(Channels, ADescriptorThatIsMissingOrOneTooManyOrOfTheWrongKindEndsTheChannel) {
  std::string job;
  ASSERT_TRUE(Encode(SampleJob(), job));
  const std::string with = Frames(delivery::kJob, 1, job, true);
  const std::string without = Frames(delivery::kJob, 1, job, false);
  const std::string cancel = Frames(delivery::kCancelJob, 1, "", true);
  std::string question;
  ASSERT_TRUE(Encode(policy::RecipientQuestion{}, question));
  const std::string asked = Frames(policy::kRecipientQuestion, 1, question, false);
  const struct {
    const char* label;
    const Edge& edge;
    std::vector<RawPiece> pieces;
    int frames;
    const char* why;  // empty: no fault
  } rows[] = {
      {"one that is announced", protocol::kQmgrSmtpc, {{with, Fd::kFile}}, 1, ""},
      {"none that is not", protocol::kQmgrSmtpc, {{without}}, 1, ""},
      {"none that is announced", protocol::kQmgrSmtpc, {{with}}, 0, "without its descriptor"},
      {"a pipe for a file", protocol::kQmgrSmtpc, {{with, Fd::kPipe}}, 0, "of the wrong kind"},
      {"two at once", protocol::kQmgrSmtpc, {{with, Fd::kTwoFiles}}, 0, "too many descriptors"},
      {"one where the table has none",
       protocol::kQmgrSmtpc,
       {{without}, {cancel, Fd::kFile}},
       1,
       "with a descriptor"},
      {"announced on an edge that carries none",
       protocol::kSmtpdPolicyd,
       {{Frames(policy::kRecipientQuestion, 1, question, true), Fd::kFile}},
       0,
       "with a descriptor"},
      {"unasked on an edge that carries none: the kernel drops it",
       protocol::kSmtpdPolicyd,
       {{asked, Fd::kFile}},
       1,
       ""},
      {"required and not there",
       protocol::kControl,
       {{Frames(protocol::control::kLogEnd, 1, "", false)}},
       0,
       "without a descriptor"},
      {"four that belong to nothing yet",
       protocol::kQmgrSmtpc,
       {{with.substr(0, 1), Fd::kFile},
        {with.substr(1, 1), Fd::kFile},
        {with.substr(2, 1), Fd::kFile},
        {with.substr(3), Fd::kFile}},
       1,
       ""},
      {"five that belong to nothing",
       protocol::kQmgrSmtpc,
       {{with.substr(0, 1), Fd::kFile},
        {with.substr(1, 1), Fd::kFile},
        {with.substr(2, 1), Fd::kFile},
        {with.substr(3, 1), Fd::kFile},
        {with.substr(4, 1), Fd::kFile}},
       0,
       "descriptors without messages"},
  };
  for (const auto& row : rows) {
    const int free_before = LowestFreeDescriptor();
    absl::Status ended;
    Ignoring handler;
    Run(FeedPieces(*loop, row.edge, row.pieces, ended, handler));
    EXPECT_EQ(handler.frames, row.frames) << row.label;
    EXPECT_EQ(absl::IsDataLoss(ended), *row.why != '\0') << row.label << ": " << ended;
    EXPECT_NE(Message(ended).find(row.why), std::string_view::npos) << row.label << ": " << ended;
    handler.descriptor.reset();
    EXPECT_EQ(LowestFreeDescriptor(), free_before) << row.label << ": one was leaked";
  }
}

TEST_P(Channels, AReceivedDescriptorIsClosedAcrossExec) {
  std::string job;
  ASSERT_TRUE(Encode(SampleJob(), job));
  absl::Status ended;
  Ignoring handler;
  Run(FeedPieces(*loop, protocol::kQmgrSmtpc, {{Frames(delivery::kJob, 1, job, true), Fd::kFile}},
                 ended, handler));
  ASSERT_TRUE(handler.descriptor.valid());
  EXPECT_EQ(::fcntl(handler.descriptor.get(), F_GETFD), FD_CLOEXEC);
}

// ---- Who, when and how much.

TEST_P(Channels, WhatAPeerMayNotSayEndsTheChannelWithTheReason) {
  std::string submit;
  ASSERT_TRUE(Encode(submission::Submit{}, submit));
  std::string done;
  ASSERT_TRUE(Encode(submission::Done{}, done));
  const std::string opened = FrameOf(submission::kSubmit, 1, submit);
  std::string too_many;
  for (uint32_t i = 0; i <= submission::kMaxOpenStreams; ++i)
    too_many += FrameOf(submission::kSubmit, 2 * i + 1, submit);
  const struct {
    const char* label;
    std::string bytes;
    int frames;
    const char* why;
  } rows[] = {
      {"what this side alone may send", FrameOf(submission::kDone, 2, done), 0,
       "from the wrong side"},
      {"an id of this side", FrameOf(submission::kSubmit, 2, submit), 0, "the other side's id"},
      {"content after the end",
       opened + FrameOf(submission::kEnd, 1, "") + FrameOf(submission::kContent, 1, ""), 2,
       "out of phase"},
      {"one more than may be open", too_many, submission::kMaxOpenStreams,
       "too many open conversations"},
      {"one octet more than the edge carries",
       FrameOf(submission::kSubmit, 1, std::string(submission::kMaxPayload + 1, 'x')), 0,
       "frame is too large"},
      {"as much as the edge carries",
       FrameOf(submission::kSubmit, 1, std::string(submission::kMaxPayload, 'x')), 1, ""},
  };
  for (const auto& row : rows) {
    absl::Status ended;
    int frames = -1;
    Run(Feed(*loop, row.bytes, ended, frames));
    EXPECT_EQ(frames, row.frames) << row.label;
    EXPECT_EQ(absl::IsDataLoss(ended), *row.why != '\0') << row.label << ": " << ended;
    EXPECT_NE(Message(ended).find(row.why), std::string_view::npos) << row.label << ": " << ended;
  }
}

class Refusing final : public FrameHandler {
 public:
  absl::Status OnFrame(Frame&) override {
    ++frames;
    return DataLoss("it says what it has no right to say");
  }
  int frames = 0;
};

io::Task<absl::Status> FeedRefusing(io::Loop& loop, absl::Status& ended, int& frames) {
  auto [a, b] = Pair();
  Channel channel(loop, std::move(b), protocol::kSmtpdQmgr, Side::kB);
  Refusing handler;
  io::TaskScope scope;
  scope.Spawn(RunInto(channel, handler, ended));
  std::string submit;
  CHECK(Encode(submission::Submit{}, submit));
  SendRaw(a.get(),
          FrameOf(submission::kSubmit, 1, submit) + FrameOf(submission::kSubmit, 3, submit),
          Fd::kNone);
  co_await scope.Join();
  frames = handler.frames;
  EXPECT_TRUE(absl::IsUnavailable(channel.Send(1, submission::Refused{})));
  co_await io::YieldTurn();
  co_return absl::OkStatus();
}

TEST_P(Channels, WhatTheHandlerRefusesEndsTheChannelAtOnce) {
  absl::Status ended;
  int frames = 0;
  Run(FeedRefusing(*loop, ended, frames));
  EXPECT_EQ(frames, 1);
  EXPECT_TRUE(absl::IsDataLoss(ended)) << ended;
}

// A peer that asks and never reads: what is kept for it is bounded.
io::Task<absl::Status> AnswerWhoNeverReads(io::Loop& loop, size_t& kept, absl::Status& last) {
  auto [a, b] = Pair();
  Channel channel(loop, std::move(b), protocol::kSmtpdPolicyd, Side::kB);
  Ignoring handler;
  absl::Status ended;
  io::TaskScope scope;
  scope.Spawn(RunInto(channel, handler, ended));
  std::string question;
  CHECK(Encode(policy::RecipientQuestion{}, question));
  policy::Verdict verdict;
  verdict.reply.text = std::string(protocol::kMaxReplyText, 't');
  verdict.reason = std::string(protocol::kMaxReason, 'r');
  for (uint32_t id = 1; last.ok() && id < 40'000; id += 2) {
    SendRaw(a.get(), Frames(policy::kRecipientQuestion, id, question, false), Fd::kNone);
    while (handler.frames < static_cast<int>(id / 2 + 1) && channel.open())
      IgnoreStatus(co_await io::Sleep(loop.After(absl::Microseconds(1))), "the frame comes");
    last = channel.Send(id, verdict);
    kept = std::max(kept, channel.pending_octets());
  }
  EXPECT_TRUE(channel.open());
  a.reset();
  co_await scope.Join();
  co_await io::YieldTurn();
  co_return absl::OkStatus();
}

TEST_P(Channels, APeerThatNeverReadsIsNotKeptMoreForThanTheBound) {
  size_t kept = 0;
  absl::Status last;
  Run(AnswerWhoNeverReads(*loop, kept, last));
  EXPECT_TRUE(absl::IsResourceExhausted(last)) << last;
  EXPECT_LE(kept, Channel::kMaxPendingOctets);
  EXPECT_GT(kept, Channel::kMaxPendingOctets - 16'384);
}

io::Task<absl::Status> FillTheRoom(io::Loop& loop) {
  auto [a, b] = Pair();
  Channel asking(loop, std::move(a), protocol::kLocaldDeliver, Side::kA);
  const protocol::mailbox::Deliver deliver;
  for (size_t i = 0; i < protocol::kLocaldDeliver.max_open; ++i) {
    EXPECT_TRUE(asking.HasRoom()) << i;
    CO_RETURN_IF_ERROR(asking.Send(asking.NewId(), deliver));
  }
  EXPECT_FALSE(asking.HasRoom());
  EXPECT_TRUE(absl::IsResourceExhausted(asking.Send(asking.NewId(), deliver)));
  asking.Close();
  co_await io::YieldTurn();
  co_return absl::OkStatus();
}

TEST_P(Channels, NoMoreConversationsAreOpenedThanTheEdgeHasRoomFor) { Run(FillTheRoom(*loop)); }

io::Task<absl::Status> SendTooMuch(io::Loop& loop) {
  auto [a, b] = Pair();
  Channel channel(loop, std::move(a), protocol::kSmtpdPolicyd, Side::kA);
  policy::RecipientQuestion question;
  question.helo = std::string(protocol::kMaxDomain + 1, 'h');
  const uint32_t id = channel.NewId();
  EXPECT_TRUE(absl::IsInvalidArgument(channel.Send(id, question)));
  EXPECT_EQ(channel.pending_octets(), 0u) << "nothing of it is sent";
  question.helo.pop_back();
  EXPECT_TRUE(channel.Send(id, question).ok()) << "and the conversation was not opened";
  channel.Close();
  EXPECT_TRUE(absl::IsUnavailable(channel.Send(channel.NewId(), question)));
  co_await io::YieldTurn();
  co_return absl::OkStatus();
}

TEST_P(Channels, AFieldBeyondItsBoundIsNotSent) { Run(SendTooMuch(*loop)); }

// ---- Calls that end badly.

io::Task<absl::Status> Ask(Channel& channel, io::Deadline until, absl::Status& ended) {
  const policy::RecipientQuestion question;
  ended = (co_await channel.Call<policy::Verdict>(question, until)).status();
  co_return absl::OkStatus();
}

io::Task<absl::Status> CallAndBeLeft(io::Loop& loop, absl::Status& call, absl::Status& late_call,
                                     absl::Status& ended) {
  auto [a, b] = Pair();
  Channel asking(loop, std::move(a), protocol::kSmtpdPolicyd, Side::kA);
  Ignoring nothing;
  io::TaskScope scope;
  scope.Spawn(RunInto(asking, nothing, ended));
  // One that nobody answers in time: its answer comes late, and is dropped.
  io::TaskScope calls;
  calls.Spawn(Ask(asking, loop.After(absl::Milliseconds(1)), late_call));
  co_await calls.Join();
  std::string verdict;
  CHECK(Encode(policy::Verdict{}, verdict));
  SendRaw(b.get(), Frames(policy::kVerdict, 1, verdict, false), Fd::kNone);
  calls.Spawn(Ask(asking, loop.After(absl::Seconds(20)), call));
  co_await io::YieldTurn();
  b.reset();
  co_await calls.Join();
  co_await scope.Join();
  EXPECT_EQ(nothing.frames, 0);
  co_await io::YieldTurn();
  co_return absl::OkStatus();
}

TEST_P(Channels, ACallFailsWhenItsTimeIsUpOrItsPeerGoesAndALateAnswerIsDropped) {
  absl::Status call;
  absl::Status late_call;
  absl::Status ended;
  Run(CallAndBeLeft(*loop, call, late_call, ended));
  EXPECT_TRUE(absl::IsDeadlineExceeded(late_call)) << late_call;
  EXPECT_TRUE(absl::IsUnavailable(call)) << call;
  EXPECT_TRUE(ended.ok()) << ended;
}

io::Task<absl::Status> CallALiar(io::Loop& loop, absl::Status& call) {
  auto [a, b] = Pair();
  Channel asking(loop, std::move(a), protocol::kSmtpdPolicyd, Side::kA);
  Ignoring nothing;
  absl::Status ended;
  io::TaskScope scope;
  scope.Spawn(RunInto(asking, nothing, ended));
  io::TaskScope calls;
  calls.Spawn(Ask(asking, loop.After(absl::Seconds(20)), call));
  co_await io::YieldTurn();
  SendRaw(b.get(), Frames(policy::kVerdict, 1, "\xff", false), Fd::kNone);
  co_await calls.Join();
  EXPECT_FALSE(asking.open());
  co_await scope.Join();
  co_await io::YieldTurn();
  co_return absl::OkStatus();
}

TEST_P(Channels, AnAnswerThatDoesNotDecodeEndsTheChannel) {
  absl::Status call;
  Run(CallALiar(*loop, call));
  EXPECT_TRUE(absl::IsDataLoss(call)) << call;
}

// ---- A neighbour that comes back.

io::Task<absl::Status> LoseAndFind(io::Loop& loop, std::vector<std::string>& changes) {
  Ignoring handler;
  Peer peer(loop, protocol::kSmtpdQmgr, Side::kB, handler);
  io::TaskScope scope;
  EXPECT_EQ(peer.channel(), nullptr);
  scope.Spawn(peer.Serve([&](const absl::Status& why, bool present) {
    changes.push_back(std::string(present ? "came" : "went: ") + std::string(Message(why)));
  }));
  std::string submit;
  CHECK(Encode(submission::Submit{}, submit));
  std::vector<UniqueFd> ends;
  for (int life = 0; life < 3; ++life) {
    auto [a, b] = Pair();
    peer.Attach(std::move(b));
    SendRaw(a.get(), FrameOf(submission::kSubmit, 1, submit), Fd::kNone);
    while (handler.frames <= life)
      IgnoreStatus(co_await io::Sleep(loop.After(absl::Microseconds(1))), "the frame comes");
    EXPECT_NE(peer.channel(), nullptr);
    // The first breaks the rules, the second goes, the third is replaced by nothing: it stays.
    if (life == 0) SendRaw(a.get(), FrameOf(submission::kSubmit, 1, submit), Fd::kNone);
    if (life == 1) a.reset();
    if (life < 2) {
      while (peer.channel() != nullptr)
        IgnoreStatus(co_await io::Sleep(loop.After(absl::Microseconds(1))), "it goes");
    }
    ends.push_back(std::move(a));
  }
  scope.RequestStop();
  co_await scope.Join();
  co_return absl::OkStatus();
}

TEST_P(Channels, APeerIsServedAgainWithAFreshTableAfterItBrokeTheRulesOrWent) {
  std::vector<std::string> changes;
  Run(LoseAndFind(*loop, changes));
  ASSERT_GE(changes.size(), 5u);
  EXPECT_EQ(changes[0], "came");
  EXPECT_EQ(changes[1], "went: smtpd-qmgr: message type 1 out of phase (1)");
  EXPECT_EQ(changes[2], "came");
  EXPECT_EQ(changes[3], "went: ");
  EXPECT_EQ(changes[4], "came");
}

}  // namespace
}  // namespace postern::ipc
