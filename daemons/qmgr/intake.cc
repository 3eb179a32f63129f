#include "daemons/qmgr/intake.h"

#include <algorithm>
#include <utility>

#include "common/base/queue_id.h"
#include "common/log/log.h"

namespace postern::qmgr {

namespace submission = protocol::submission;

namespace {

// With less room than that nothing is taken.
constexpr uint64_t kLeastRoomOctets = 4096;

protocol::ReplyText NoRoom() {
  return {.code = 452, .enhanced = "4.3.1", .text = "insufficient system storage, try again later"};
}

protocol::ReplyText TooMuch() {
  return {.code = 452, .enhanced = "4.3.1", .text = "too much mail at once, try again later"};
}

// Whose fault it is only the log says.
protocol::ReplyText ReplyFor(const absl::Status& trouble) {
  if (absl::IsResourceExhausted(trouble)) return NoRoom();
  return {.code = 451, .enhanced = "4.3.0", .text = "local trouble, try again later"};
}

uint64_t CostOf(const submission::Recipient& recipient) {
  return sizeof recipient + recipient.address.size() + recipient.orcpt.size();
}

}  // namespace

struct Intake::Stream {
  submission::Submit submit;
  std::vector<submission::Recipient> recipients;
  std::string buffer;   // content not yet written (or all of it, while it is small)
  uint64_t octets = 0;  // of content so far
  uint64_t allowed = submission::kInitialCredit;  // octets it may have sent
  uint64_t charged = 0;                           // its share of IntakeTotals::buffered_octets
  uint64_t generation = 0;
  bool to_file = false;
  bool file_made = false;
  bool ended = false;
  bool cancelled = false;
  bool refused = false;
  protocol::ReplyText refusal;
  io::Event more;  // content, the end, or a cancellation
  std::unique_ptr<DiskFile> file;
};

Intake::~Intake() = default;

bool Intake::Charge(Stream& stream, uint64_t octets) {
  if (totals_.buffered_octets + octets > IntakeTotals::kMaxBufferedOctets) return false;
  totals_.buffered_octets += octets;
  stream.charged += octets;
  return true;
}

void Intake::Discharge(Stream& stream, uint64_t octets) {
  totals_.buffered_octets -= octets;
  stream.charged -= octets;
}

void Intake::Release(Stream& stream) {
  Discharge(stream, stream.charged);
  stream.buffer = {};
  stream.recipients = {};
}

void Intake::OnDown(const absl::Status&) {
  channel_ = nullptr;
  ++generation_;
  for (auto& [id, stream] : std::exchange(streams_, {})) {
    stream->cancelled = true;
    --totals_.streams;
    if (!stream->to_file) Release(*stream);
    stream->more.Set();
  }
}

absl::Status Intake::OnFrame(ipc::Frame& frame) {
  if (frame.type == submission::kSubmit) {
    ASSIGN_OR_RETURN(auto submit, ipc::DecodeFrame<submission::Submit>(frame));
    return OnSubmit(frame.id, std::move(submit));
  }
  const auto found = streams_.find(frame.id);
  if (found == streams_.end()) return DataLoss("no such stream");
  const std::shared_ptr<Stream> stream = found->second;
  switch (frame.type) {
    case submission::kRecipients: {
      ASSIGN_OR_RETURN(auto piece, ipc::DecodeFrame<submission::Recipients>(frame));
      return OnRecipients(frame.id, *stream, std::move(piece));
    }
    case submission::kContent: {
      ASSIGN_OR_RETURN(const auto content, ipc::DecodeFrame<submission::Content>(frame));
      const bool was_in_memory = !stream->to_file;
      RETURN_IF_ERROR(OnContent(frame.id, *stream, content.bytes));
      if (was_in_memory && stream->to_file) work_.Spawn(WriteFile(frame.id, stream));
      stream->more.Set();
      return absl::OkStatus();
    }
    case submission::kEnd:
    case submission::kCancel:
      stream->cancelled = frame.type == submission::kCancel;
      OnEnd(frame.id, stream);
      return absl::OkStatus();
    default:
      return DataLoss("unexpected message type ", int{frame.type});
  }
}

absl::Status Intake::OnSubmit(uint32_t id, submission::Submit submit) {
  const QueueId queue_id(submit.queue_id);
  if (queue_id.origin() != origin_) return DataLoss("a queue id of another origin");
  auto stream = std::make_shared<Stream>();
  stream->submit = std::move(submit);
  stream->generation = generation_;
  streams_[id] = stream;
  ++totals_.streams;
  NoteRoom();
  if (totals_.stopping) {
    Refuse(id, *stream,
           {.code = 421, .enhanced = "4.3.2", .text = "service is shutting down, try again later"});
  } else if (queue_.Knows(queue_id.value())) {
    Refuse(id, *stream, {.code = 451, .enhanced = "4.3.0", .text = "queue id in use, try again"});
  } else if (totals_.full || !queue_.store().HasRoomFor(stream->submit.announced_octets)) {
    Refuse(id, *stream, NoRoom());
  }
  return absl::OkStatus();
}

// Says it once when the disk becomes full, and once when there is room again.
void Intake::NoteRoom() {
  const bool full = !queue_.store().HasRoomFor(kLeastRoomOctets);
  if (std::exchange(totals_.full, full) == full) return;
  log::Event(full ? log::Severity::kError : log::Severity::kNotice,
             full ? log::kQueueFull : log::kQueueRoom)
      .Int("free", queue_.disk().FreeOctets().value_or(0))
      .Int("reserve", queue_.settings().queue.reserve_octets);
}

absl::Status Intake::OnRecipients(uint32_t id, Stream& stream, submission::Recipients piece) {
  if (stream.recipients.size() + piece.recipients.size() > submission::kMaxRecipients)
    return DataLoss("too many recipients");
  if (stream.refused) return absl::OkStatus();
  uint64_t cost = 0;
  for (const submission::Recipient& recipient : piece.recipients) cost += CostOf(recipient);
  if (!Charge(stream, cost)) {
    Refuse(id, stream, TooMuch());
    return absl::OkStatus();
  }
  std::move(piece.recipients.begin(), piece.recipients.end(),
            std::back_inserter(stream.recipients));
  return absl::OkStatus();
}

void Intake::Credit(uint32_t id, Stream& stream, uint64_t octets) {
  if (octets == 0) return;
  stream.allowed += octets;
  if (channel_ == nullptr || stream.generation != generation_) return;
  const submission::Credit credit{.octets = static_cast<uint32_t>(octets)};
  IgnoreStatus(channel_->Send(id, credit), "a channel that is gone needs no credit");
}

absl::Status Intake::OnContent(uint32_t id, Stream& stream, std::string_view bytes) {
  stream.octets += bytes.size();
  if (stream.octets > stream.allowed) return DataLoss("content beyond its credit");
  if (stream.refused) {
    Credit(id, stream, bytes.size());  // what is refused is still sent to its end
    return absl::OkStatus();
  }
  if (!Charge(stream, bytes.size())) {
    Refuse(id, stream, TooMuch());
    Credit(id, stream, bytes.size());
    return absl::OkStatus();
  }
  stream.buffer += bytes;
  if (stream.to_file) return absl::OkStatus();  // credit comes as it is written
  if (stream.octets > queue_.settings().queue.inline_octets) {
    stream.to_file = true;
  } else if (stream.octets > submission::kInitialCredit / 2) {
    Credit(id, stream, bytes.size());
  }
  return absl::OkStatus();
}

void Intake::Refuse(uint32_t id, Stream& stream, protocol::ReplyText reply) {
  stream.refused = true;
  ++totals_.refused;
  LogRefused(stream, reply, absl::OkStatus());
  if (!stream.to_file) Release(stream);  // else its writer does
  stream.refusal = std::move(reply);
  if (channel_ == nullptr || stream.generation != generation_) return;
  const submission::Refused refused{.reply = stream.refusal};
  IgnoreStatus(channel_->Send(id, refused), "a channel that is gone needs no answer");
}

void Intake::LogRefused(const Stream& stream, const protocol::ReplyText& reply,
                        const absl::Status& why) const {
  log::Event(log::Severity::kNotice, log::kMessageRefused)
      .Id(QueueId(stream.submit.queue_id))
      .Int("code", reply.code)
      .Str("status", reply.enhanced)
      .Str("reason", reply.text)
      .Error(why);
}

void Intake::SendDone(uint32_t id, const Stream& stream, submission::Outcome outcome,
                      const protocol::ReplyText& reply) {
  if (channel_ == nullptr || stream.generation != generation_) return;
  const submission::Done done{.outcome = outcome, .reply = reply};
  IgnoreStatus(channel_->Send(id, done), "a channel that is gone needs no answer");
}

void Intake::OnEnd(uint32_t id, std::shared_ptr<Stream> stream) {
  stream->ended = true;
  stream->more.Set();
  if (stream->to_file) return;  // its writer goes on from here
  streams_.erase(id);
  --totals_.streams;
  if (stream->cancelled) {
    Release(*stream);
    SendDone(id, *stream, submission::Outcome::kCancelled, {});
  } else if (stream->refused) {
    SendDone(id, *stream, submission::Outcome::kRefused, stream->refusal);
  } else {
    work_.Spawn(Commit(id, std::move(stream)));
  }
}

MessageRecord Intake::RecordOf(Stream& stream) const {
  MessageRecord record;
  record.sender = std::move(stream.submit.sender);
  record.envid = std::move(stream.submit.envid);
  record.ret = stream.submit.ret;
  record.body = stream.submit.body;
  record.smtputf8 = stream.submit.smtputf8;
  record.in_file = stream.to_file;
  record.arrival_us = queue_.WallUs();
  record.content_octets = stream.octets;
  record.client = std::move(stream.submit.client);
  record.submitter = std::move(stream.submit.submitter);
  record.hold_reason = std::move(stream.submit.hold_reason);
  record.prepend = std::move(stream.submit.prepend);
  for (submission::Recipient& recipient : stream.recipients) {
    record.recipients.push_back({.address = std::move(recipient.address),
                                 .orcpt = std::move(recipient.orcpt),
                                 .notify = recipient.notify,
                                 .kind = recipient.kind,
                                 .done = false});
  }
  return record;
}

io::Task<void> Intake::Commit(uint32_t id, std::shared_ptr<Stream> stream) {
  absl::Status committed = InvalidArgument("a message without recipients");
  if (!stream->recipients.empty()) {
    std::string content = stream->to_file ? std::string() : std::move(stream->buffer);
    committed =
        co_await queue_.Accept(stream->submit.queue_id, RecordOf(*stream), std::move(content));
  }
  Release(*stream);  // it was in memory until now
  if (committed.ok()) {
    ++totals_.accepted;
    SendDone(id, *stream, submission::Outcome::kCommitted, {});
    co_return;
  }
  ++totals_.refused;
  const protocol::ReplyText reply = ReplyFor(committed);
  LogRefused(*stream, reply, committed);
  // Its record may have reached the disk all the same: that must be taken back for good before the
  // content goes, or a crash now would leave a message without one.
  const bool content_goes = stream->file_made && (co_await queue_.store().Flush()).ok();
  SendDone(id, *stream, submission::Outcome::kRefused, reply);
  if (content_goes) {
    IgnoreStatus(co_await queue_.disk().Remove(ContentName(stream->submit.queue_id)),
                 "an orphan is removed at the next start");
  }
}

// A message too large for the log: written to its file as it comes.
io::Task<void> Intake::WriteFile(uint32_t id, std::shared_ptr<Stream> stream) {
  const absl::Status written = co_await WriteFileUntilEnd(id, *stream);
  if (absl::IsCancelled(written)) {
    stream->cancelled = true;
  } else if (!written.ok() && !stream->refused && !stream->cancelled) {
    log::Event(log::Severity::kError, log::kQueueWriteFailed)
        .Id(QueueId(stream->submit.queue_id))
        .Error(written);
    Refuse(id, *stream, ReplyFor(written));
  }
  // Whatever still comes of a refused message is let go.
  while (!stream->ended && !stream->cancelled) {
    const size_t octets = stream->buffer.size();
    Release(*stream);
    Credit(id, *stream, octets);
    stream->more.Reset();
    if (!(co_await stream->more.Wait(io::Deadline::Never())).ok()) break;
  }
  stream->file.reset();
  if (stream->generation == generation_ && streams_.erase(id) > 0) --totals_.streams;
  if (written.ok() && stream->ended && !stream->cancelled && !stream->refused) {
    co_await Commit(id, stream);
    co_return;
  }
  Release(*stream);
  if (stream->file_made) {
    IgnoreStatus(co_await queue_.disk().Remove(ContentName(stream->submit.queue_id)),
                 "an orphan is removed at the next start");
  }
  SendDone(id, *stream,
           stream->cancelled ? submission::Outcome::kCancelled : submission::Outcome::kRefused,
           stream->refusal);
}

io::Task<absl::Status> Intake::WriteFileUntilEnd(uint32_t id, Stream& stream) {
  // Asked anew: since the stream began others may have taken the last files there were to have.
  CO_ASSIGN_OR_RETURN(const uint64_t free, queue_.disk().FreeOctets());
  if (free < queue_.settings().queue.reserve_octets)
    co_return ResourceExhausted("the spool is full");
  CO_ASSIGN_OR_RETURN(stream.file,
                      co_await queue_.disk().Create(ContentName(stream.submit.queue_id), 0));
  stream.file_made = true;
  uint64_t offset = 0;
  for (;;) {
    if (stream.cancelled || stream.refused) co_return absl::OkStatus();
    if (stream.buffer.empty()) {
      if (stream.ended) break;
      stream.more.Reset();
      CO_RETURN_IF_ERROR(co_await stream.more.Wait(io::Deadline::Never()));
      continue;
    }
    const std::string piece = std::exchange(stream.buffer, {});
    const absl::Status written = co_await stream.file->Write(piece, offset);
    Discharge(stream, piece.size());
    CO_RETURN_IF_ERROR(written);
    offset += piece.size();
    if (!stream.ended) Credit(id, stream, piece.size());
  }
  // The content before the record that names it.
  CO_RETURN_IF_ERROR(co_await stream.file->Sync());
  co_return co_await queue_.disk().SyncDirectory("content");
}

}  // namespace postern::qmgr
