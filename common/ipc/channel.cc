#include "common/ipc/channel.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/fstat.h"

namespace postern::ipc {
namespace {

// Room for one descriptor and not one more: CMSG_SPACE would let a second slip into the padding.
constexpr size_t kControlOctets = CMSG_LEN(sizeof(int));
// Descriptors that came before the frame they belong to was complete.
constexpr size_t kMaxWaitingDescriptors = 4;

}  // namespace

// What is being sent. Outlives the channel until the kernel has let go of the bytes.
struct Channel::Outgoing final : io::Operation {
  explicit Outgoing(Channel& channel) : owner(&channel) {}
  ~Outgoing() override = default;
  void OnCompletion(int result, uint32_t, bool) override {
    if (owner == nullptr) {
      delete this;
    } else {
      owner->OnSent(result);
    }
  }

  Channel* owner;
  std::string bytes;
  size_t sent = 0;
  // Descriptors of frames in `bytes`, by offset.
  std::deque<QueuedDescriptor> descriptors;
  msghdr message{};
  iovec piece{};
  alignas(cmsghdr) char control[kControlOctets];
};

Channel::Channel(io::Loop& loop, UniqueFd socket, const Edge& edge, Side self)
    : loop_(loop),
      edge_(edge),
      self_(self),
      fd_(socket.release()),
      next_id_(self == Side::kA ? 1 : 2),
      conversations_(edge),
      outgoing_(new Outgoing(*this)) {
  outgoing_->loop = &loop;
  for (const Rule& rule : edge.rules) {
    if (rule.sender != self && rule.descriptor != Descriptor::kNone) receives_descriptors_ = true;
  }
}

Channel::~Channel() {
  CHECK(receiving_ == nullptr);  // Run must have returned
  Close();
  if (sending_) {
    outgoing_->owner = nullptr;
    loop_.Cancel(*outgoing_, io::Operation::Ended::kByItself);
  } else {
    delete outgoing_;
  }
  loop_.Close(fd_);
}

void Channel::Close() {
  if (!open_) return;
  open_ = false;
  TurnEndHook::Unlink();
  FailCalls();
  flushed_.Wake();
  if (receiving_ != nullptr) loop_.Cancel(*receiving_, io::Operation::Ended::kByItself);
}

void Channel::FailCalls() {
  const auto calls = std::exchange(calls_, {});
  for (const auto& [id, call] : calls) {
    if (call == nullptr) continue;
    call->channel_closed = true;
    call->done.Set();
  }
}

absl::Status Channel::SendPayload(uint8_t type, uint32_t id, UniqueFd descriptor) {
  if (pending_.size() + payload_.size() > kMaxPendingOctets) {
    return ResourceExhausted(edge_.name, ": the other process takes nothing");
  }
  const Rule* rule = edge_.RuleFor(type);
  CHECK(rule != nullptr);
  if (payload_.size() > edge_.max_payload_octets) {
    return InvalidArgument(edge_.name, ": message type ", int{type}, " is too large");
  }
  if (conversations_.phase(id) == kIdle && rule->to != kIdle && rule->to != kStay && !HasRoom()) {
    return ResourceExhausted(edge_.name, ": too many requests under way");
  }
  CHECK(conversations_.Advance(self_, type, id).has_value());
  CHECK(descriptor.valid() ? rule->descriptor != Descriptor::kNone
                           : rule->descriptor != Descriptor::kRequired);
  if (pending_.empty() && !TurnEndHook::linked()) loop_.AtTurnEnd(*this);
  const bool carries = descriptor.valid();
  if (carries) queued_descriptors_.push_back({pending_.size(), std::move(descriptor)});
  AppendFrameHeader(pending_, {.payload_octets = static_cast<uint32_t>(payload_.size()),
                               .type = type,
                               .has_descriptor = carries,
                               .id = id});
  pending_ += payload_;
  return absl::OkStatus();
}

void Channel::OnTurnEnd() {
  if (!sending_ && open_) StartSend();
}

// Sends the next piece: all that is left, or up to the next frame that carries a descriptor.
void Channel::StartSend() {
  Outgoing& out = *outgoing_;
  for (;;) {
    if (out.sent == out.bytes.size()) {
      if (pending_.empty()) {
        sending_ = false;
        flushed_.Wake();
        return;
      }
      out.bytes.clear();
      out.bytes.swap(pending_);
      out.descriptors.swap(queued_descriptors_);
      out.sent = 0;
    }
    size_t end = out.bytes.size();
    const bool with_descriptor =
        !out.descriptors.empty() && out.descriptors.front().offset == out.sent;
    const size_t next = with_descriptor ? 1 : 0;
    if (out.descriptors.size() > next) end = out.descriptors[next].offset;
    out.piece = {out.bytes.data() + out.sent, end - out.sent};
    out.fd = fd_;
    if (with_descriptor) {
      out.message = {};
      out.message.msg_iov = &out.piece;
      out.message.msg_iovlen = 1;
      out.message.msg_control = out.control;
      out.message.msg_controllen = kControlOctets;
      cmsghdr* header = CMSG_FIRSTHDR(&out.message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      const int fd = out.descriptors.front().fd.get();
      std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
      out.code = io::OpCode::kSendMessage;
      out.buffer = &out.message;
    } else {
      out.code = io::OpCode::kSend;
      out.buffer = out.piece.iov_base;
      out.length = static_cast<uint32_t>(out.piece.iov_len);
    }
    sending_ = true;
    int result;
    if (!loop_.Start(out, &result)) return;
    if (result < 0) {
      sending_ = false;
      Close();
      return;
    }
    out.sent += static_cast<size_t>(result);
    if (with_descriptor) out.descriptors.pop_front();
  }
}

void Channel::OnSent(int result) {
  sending_ = false;
  if (result <= 0) {
    Close();  // the peer is gone
    return;
  }
  outgoing_->sent += static_cast<size_t>(result);
  if (outgoing_->code == io::OpCode::kSendMessage) outgoing_->descriptors.pop_front();
  if (open_) StartSend();
}

io::Task<absl::Status> Channel::WaitUntilFlushed(io::Deadline until) {
  while (open_ && (sending_ || !pending_.empty()))
    CO_RETURN_IF_ERROR(co_await flushed_.Wait(until));
  if (!open_) co_return Unavailable(edge_.name, ": channel is closed");
  co_return absl::OkStatus();
}

// Receives once, behind what is there; the octets received, 0 at the end.
io::Task<absl::StatusOr<size_t>> Channel::Fill() {
  if (received_.size() - received_octets_ < kReceiveOctets / 2)
    received_.resize(received_octets_ + kReceiveOctets);
  io::OperationAwaiter receive(
      loop_, receives_descriptors_ ? io::OpCode::kReceiveMessage : io::OpCode::kReceive,
      io::Deadline::Never());
  iovec piece{received_.data() + received_octets_, received_.size() - received_octets_};
  alignas(cmsghdr) char control[kControlOctets];
  msghdr message{};
  receive.fd = fd_;
  if (receives_descriptors_) {
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    receive.buffer = &message;
  } else {
    receive.buffer = piece.iov_base;
    receive.length = static_cast<uint32_t>(piece.iov_len);
  }
  receiving_ = &receive;
  const int result = co_await receive;
  receiving_ = nullptr;
  if (result < 0) co_return ErrnoStatus(-result, edge_.name, ": receive");
  if (receives_descriptors_) {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      int fd;
      std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
      received_descriptors_.emplace_back(fd);
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0)
      co_return DataLoss(edge_.name, ": too many descriptors");
  }
  received_octets_ += static_cast<size_t>(result);
  co_return static_cast<size_t>(result);
}

io::Task<absl::Status> Channel::Run(FrameHandler& handler) {
  absl::Status ended;
  while (open_) {
    const absl::StatusOr<size_t> filled = co_await Fill();
    if (!filled.ok()) {
      ended = filled.status();
      break;
    }
    if (*filled == 0) {
      if (received_octets_ > 0) ended = DataLoss(edge_.name, ": closed in the middle of a frame");
      break;
    }
    ended = TakeFrames(handler);
    if (!ended.ok()) break;
  }
  const bool closed_here = !open_;
  Close();
  received_descriptors_.clear();
  // Closed from this side (a failed send: the peer is gone): no fault to report.
  if (closed_here && absl::IsCancelled(ended)) ended = absl::OkStatus();
  co_return ended;
}

absl::Status Channel::TakeFrames(FrameHandler& handler) {
  std::string_view left(received_.data(), received_octets_);
  while (open_ && left.size() >= kFrameHeaderOctets) {
    const Parsed<FrameHeader> header = ParseFrameHeader(left, edge_.max_payload_octets);
    if (!header.has_value()) return DataLoss(edge_.name, ": ", header.error().reason);
    const size_t total = kFrameHeaderOctets + header->payload_octets;
    if (left.size() < total) {
      if (received_.size() < total) {
        // The one place where a frame larger than the buffer makes it grow, up to the edge's bound.
        const size_t used = received_octets_ - left.size();
        received_.erase(0, used);
        received_octets_ = left.size();
        received_.resize(total + kFrameHeaderOctets);
        left = std::string_view(received_.data(), received_octets_);
      }
      break;
    }
    RETURN_IF_ERROR(
        TakeFrame(*header, left.substr(kFrameHeaderOctets, header->payload_octets), handler));
    left.remove_prefix(total);
  }
  if (received_descriptors_.size() > kMaxWaitingDescriptors) {
    return DataLoss(edge_.name, ": descriptors without messages");
  }
  if (left.empty()) {
    received_octets_ = 0;
  } else if (left.size() != received_octets_) {
    std::memmove(received_.data(), left.data(), left.size());
    received_octets_ = left.size();
  }
  return absl::OkStatus();
}

absl::Status Channel::TakeFrame(const FrameHeader& header, std::string_view payload,
                                FrameHandler& handler) {
  const Parsed<const Rule*> rule = conversations_.Advance(Other(self_), header.type, header.id);
  if (!rule.has_value()) return DataLoss(edge_.name, ": ", rule.error().reason);
  Frame frame{.type = header.type, .id = header.id, .payload = payload, .descriptor = {}};
  RETURN_IF_ERROR(TakeDescriptor(**rule, header.has_descriptor, frame.descriptor));
  if (const auto found = calls_.find(header.id); found != calls_.end()) {
    PendingCall* call = found->second;
    if (call == nullptr || call->answer_type == header.type) {
      calls_.erase(found);
      if (call == nullptr) return absl::OkStatus();
      call->payload.assign(payload);
      call->answered = true;
      call->done.Set();
      return absl::OkStatus();
    }
  }
  return handler.OnFrame(frame);
}

// Which descriptor belongs to a frame: they arrive in order, each no later than its frame's first
// octet.
absl::Status Channel::TakeDescriptor(const Rule& rule, bool present, UniqueFd& descriptor) {
  if (present ? rule.descriptor == Descriptor::kNone : rule.descriptor == Descriptor::kRequired) {
    return DataLoss(edge_.name, ": message type ", int{rule.type}, present ? " with" : " without",
                    " a descriptor");
  }
  if (!present) return absl::OkStatus();
  if (received_descriptors_.empty()) {
    return DataLoss(edge_.name, ": message type ", int{rule.type}, " without its descriptor");
  }
  descriptor = std::move(received_descriptors_.front());
  received_descriptors_.pop_front();
  struct stat about;
  if (edge_.descriptor_kind != 0 &&
      (Fstat(descriptor.get(), &about) < 0 || (about.st_mode & S_IFMT) != edge_.descriptor_kind)) {
    return DataLoss(edge_.name, ": a descriptor of the wrong kind");
  }
  return absl::OkStatus();
}

void Peer::Attach(UniqueFd socket) {
  next_ = std::move(socket);
  attached_.Set();
  if (channel_) channel_->Close();
}

io::Task<absl::Status> Peer::Serve(
    std::function<void(const absl::Status& why, bool present)> on_change) {
  for (;;) {
    CO_RETURN_IF_ERROR(co_await attached_.Wait(io::Deadline::Never()));
    attached_.Reset();
    channel_ = std::make_unique<Channel>(loop_, std::move(next_), edge_, self_);
    if (on_change) on_change(absl::OkStatus(), true);
    const absl::Status ended = co_await channel_->Run(handler_);
    if (on_change) on_change(ended, false);
    co_await io::YieldTurn();  // whoever waited on it has been woken and looks at it once more
    channel_.reset();
    if (absl::IsCancelled(ended)) co_return ended;
  }
}

}  // namespace postern::ipc
