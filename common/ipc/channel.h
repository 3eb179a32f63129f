// common/ipc/channel.h — one end of an edge: a Unix stream socket between two of our processes.
//
// Everything queued during one turn of the loop leaves in one send; one receive brings whatever has
// gathered. The other end may be in an attacker's hands: lengths, types, phases, ids and
// descriptors are checked against the edge's table, and the first violation ends the channel (never
// the process).
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/io/event.h"
#include "common/io/loop.h"
#include "common/io/task.h"
#include "common/ipc/codec.h"
#include "common/ipc/conversation.h"
#include "common/ipc/frame.h"

namespace postern::ipc {

class FrameHandler {
 public:
  virtual ~FrameHandler() = default;
  // A message that its table allows. An error ends the channel: return one for a payload that does
  // not decode or says what its sender has no right to say. Must not wait.
  virtual absl::Status OnFrame(Frame& frame) = 0;
};

// Decodes a frame's payload; kDataLoss if it is not an M.
template <class M>
absl::StatusOr<M> DecodeFrame(const Frame& frame) {
  Parsed<M> message = Decode<M>(frame.payload);
  if (!message.has_value())
    return DataLoss("message type ", int{frame.type}, ": ", message.error().reason);
  return *std::move(message);
}

class Channel final : private io::TurnEndHook {
 public:
  // Queued and not yet taken by the kernel: beyond this the peer is taken for dead.
  static constexpr size_t kMaxPendingOctets = 32u << 20;
  static constexpr size_t kReceiveOctets = 64u << 10;

  // `edge` must outlive the channel.
  Channel(io::Loop& loop, UniqueFd socket, const Edge& edge, Side self);
  Channel(const Channel&) = delete;
  ~Channel();

  const Edge& edge() const { return edge_; }
  bool open() const { return open_; }
  // Octets not yet taken by the kernel, and waiting until they are few: for senders of bulk
  // content.
  size_t pending_octets() const { return pending_.size(); }
  io::Task<absl::Status> WaitUntilFlushed(io::Deadline until);

  // Receives until the peer closes (OK), breaks the rules (kDataLoss) or the task is stopped. Calls
  // under way fail with kUnavailable then.
  io::Task<absl::Status> Run(FrameHandler& handler);
  // Nothing more is sent or received; Run returns. Those who wait on the channel are woken: it must
  // live for one more turn of the loop.
  void Close();

  // A fresh conversation id of this side.
  uint32_t NewId() { return std::exchange(next_id_, next_id_ + 2); }
  // Whether this side may open one more conversation.
  bool HasRoom() const { return conversations_.open(self_) < edge_.max_open; }

  // Queues a message. kUnavailable: the channel is closed; kInvalidArgument: a field is beyond its
  // bound; kResourceExhausted: too many conversations, or the peer takes nothing. Sending what the
  // table forbids is a bug (CHECK).
  template <class M>
  absl::Status Send(uint32_t id, const M& message, UniqueFd descriptor = {}) {
    if (!open_) return Unavailable(edge_.name, ": channel is closed");
    payload_.clear();
    if (!Encode(message, payload_)) {
      return InvalidArgument(edge_.name, ": message type ", int{static_cast<uint8_t>(M::kType)},
                             " out of bounds");
    }
    return SendPayload(static_cast<uint8_t>(M::kType), id, std::move(descriptor));
  }

  // Asks and waits for the one answer.
  // Errors: those of Send, kUnavailable (the channel ended), kDeadlineExceeded, kCancelled,
  // kDataLoss
  template <class Answer, class Question>
  io::Task<absl::StatusOr<Answer>> Call(const Question& question, io::Deadline until);

 private:
  struct PendingCall {
    uint8_t answer_type = 0;
    bool answered = false;
    bool channel_closed = false;
    std::string payload;
    io::Event done;
  };
  struct Outgoing;

  void OnTurnEnd() override;
  absl::Status SendPayload(uint8_t type, uint32_t id, UniqueFd descriptor);
  void StartSend();
  void OnSent(int result);
  absl::Status TakeFrames(FrameHandler& handler);
  absl::Status TakeFrame(const FrameHeader& header, std::string_view payload,
                         FrameHandler& handler);
  absl::Status TakeDescriptor(const Rule& rule, bool present, UniqueFd& descriptor);
  io::Task<absl::StatusOr<size_t>> Fill();
  void FailCalls();

  io::Loop& loop_;
  const Edge& edge_;
  const Side self_;
  int fd_;
  bool open_ = true;
  bool receives_descriptors_ = false;
  uint32_t next_id_;
  Conversations conversations_;
  std::unordered_map<uint32_t, PendingCall*> calls_;  // nullptr: asked, but nobody waits any more

  std::string payload_;  // scratch of Send
  std::string pending_;
  struct QueuedDescriptor {
    size_t offset;  // of its frame in pending_
    UniqueFd fd;
  };
  std::deque<QueuedDescriptor> queued_descriptors_;
  Outgoing* outgoing_;
  bool sending_ = false;
  io::Event flushed_;

  std::string received_;
  size_t received_octets_ = 0;
  std::deque<UniqueFd> received_descriptors_;
  io::Operation* receiving_ = nullptr;
};

template <class Answer, class Question>
io::Task<absl::StatusOr<Answer>> Channel::Call(const Question& question, io::Deadline until) {
  const Edge& edge = edge_;  // outlives the channel, which may be gone after the wait
  const uint32_t id = NewId();
  CO_RETURN_IF_ERROR(Send(id, question));
  PendingCall call;
  call.answer_type = static_cast<uint8_t>(Answer::kType);
  calls_[id] = &call;
  const absl::Status waited = co_await call.done.Wait(until);
  if (call.channel_closed) co_return Unavailable(edge.name, ": the other process went away");
  if (!call.answered) {
    calls_[id] = nullptr;  // the answer may still come; it is then dropped
    co_return Annotate(waited, edge.name);
  }
  Parsed<Answer> answer = Decode<Answer>(call.payload);
  if (!answer.has_value()) {
    if (open_) Close();
    co_return DataLoss(edge.name, ": answer: ", answer.error().reason);
  }
  co_return *std::move(answer);
}

// A neighbour over time: present, gone, and back with a new channel after master restarted it.
class Peer {
 public:
  // All must outlive the peer.
  Peer(io::Loop& loop, const Edge& edge, Side self, FrameHandler& handler)
      : loop_(loop), edge_(edge), self_(self), handler_(handler) {}

  // A fresh end from master replaces the one before.
  void Attach(UniqueFd socket);
  // nullptr while the neighbour is away.
  Channel* channel() const { return channel_ && channel_->open() ? channel_.get() : nullptr; }

  // Runs one channel after the other until stopped. `on_change` (may be empty) is told when the
  // neighbour came (OK) and when it went, with the reason.
  io::Task<absl::Status> Serve(
      std::function<void(const absl::Status& why, bool present)> on_change);

 private:
  io::Loop& loop_;
  const Edge& edge_;
  const Side self_;
  FrameHandler& handler_;
  std::unique_ptr<Channel> channel_;
  UniqueFd next_;
  io::Event attached_;
};

}  // namespace postern::ipc
