#include "daemons/qmgr/intake.h"

#include <algorithm>
#include <utility>

#include "common/base/queue_id.h"
#include "common/log/log.h"

namespace postern::qmgr {

namespace submission = protocol::submission;

struct Intake::Stream {
  submission::Submit submit;
  std::vector<submission::Recipient> recipients;
  std::string buffer;   // content not yet written (or all of it, while it is small)
  uint64_t octets = 0;  // of content so far
  uint64_t generation = 0;
  bool to_file = false;
  bool ended = false;
  bool cancelled = false;
  bool refused = false;
  protocol::ReplyText refusal;
  io::Event more;  // content, the end, or a cancellation
  std::unique_ptr<DiskFile> file;
};

Intake::~Intake() = default;

void Intake::Release(Stream& stream) {
  totals_.buffered_octets -= stream.buffer.size();
  stream.buffer = std::string();
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
      return OnRecipients(*stream, std::move(piece));
    }
    case submission::kContent: {
      ASSIGN_OR_RETURN(const auto content, ipc::DecodeFrame<submission::Content>(frame));
      const bool was_in_memory = !stream->to_file;
      OnContent(frame.id, *stream, content.bytes);
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
  if (totals_.stopping) {
    Refuse(id, *stream, 421, "4.3.2", "service is shutting down, try again later");
  } else if (queue_.Knows(queue_id.value())) {
    Refuse(id, *stream, 451, "4.3.0", "queue id in use, try again");
  } else if (totals_.buffered_octets > IntakeTotals::kMaxBufferedOctets) {
    Refuse(id, *stream, 452, "4.3.1", "too much mail at once, try again later");
  } else {
    const bool room =
        queue_.store().HasRoomFor(std::max<uint64_t>(stream->submit.announced_octets, 4096));
    if (room == totals_.full) {
      totals_.full = !room;
      log::Event(room ? log::Severity::kNotice : log::Severity::kError,
                 room ? log::kQueueRoom : log::kQueueFull);
    }
    if (!room) Refuse(id, *stream, 452, "4.3.1", "insufficient system storage, try again later");
  }
  return absl::OkStatus();
}

absl::Status Intake::OnRecipients(Stream& stream, submission::Recipients piece) {
  if (stream.recipients.size() + piece.recipients.size() > submission::kMaxRecipients)
    return DataLoss("too many recipients");
  std::move(piece.recipients.begin(), piece.recipients.end(),
            std::back_inserter(stream.recipients));
  return absl::OkStatus();
}

void Intake::Credit(uint32_t id, uint64_t octets) {
  if (channel_ == nullptr || octets == 0) return;
  const submission::Credit credit{.octets = static_cast<uint32_t>(octets)};
  IgnoreStatus(channel_->Send(id, credit), "a channel that is gone needs no credit");
}

void Intake::OnContent(uint32_t id, Stream& stream, std::string_view bytes) {
  stream.octets += bytes.size();
  if (stream.refused) {
    Credit(id, bytes.size());  // what is refused is still sent to its end
    return;
  }
  stream.buffer += bytes;
  totals_.buffered_octets += bytes.size();
  if (stream.to_file) return;  // credit comes as it is written
  if (stream.octets > queue_.settings().queue.inline_octets) {
    stream.to_file = true;
  } else if (stream.octets > submission::kInitialCredit / 2) {
    Credit(id, bytes.size());
  }
}

void Intake::Refuse(uint32_t id, Stream& stream, uint16_t code, std::string enhanced,
                    std::string text) {
  stream.refused = true;
  ++totals_.refused;
  if (!stream.to_file) Release(stream);
  const submission::Refused refused{
      .reply = {.code = code, .enhanced = std::move(enhanced), .text = std::move(text)}};
  stream.refusal = refused.reply;
  if (channel_ != nullptr)
    IgnoreStatus(channel_->Send(id, refused), "a channel that is gone needs no answer");
}

void Intake::SendDone(uint32_t id, submission::Outcome outcome, const protocol::ReplyText& reply) {
  if (channel_ == nullptr) return;
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
    SendDone(id, submission::Outcome::kCancelled, {});
  } else if (stream->refused) {
    SendDone(id, submission::Outcome::kRefused, stream->refusal);
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
  const uint64_t queue_id = stream->submit.queue_id;
  absl::Status committed;
  if (stream->recipients.empty()) {
    committed = InvalidArgument("a message without recipients");
  } else {
    MessageRecord record = RecordOf(*stream);
    log::Event event(log::Severity::kInfo, log::kMessageQueued);
    event.Id(QueueId(queue_id))
        .Str("from", record.sender)
        .Int("size", record.content_octets)
        .Int("recipients", record.recipients.size())
        .Str("client", record.submitter);
    std::string content;
    if (!stream->to_file) {
      totals_.buffered_octets -= stream->buffer.size();
      content = std::move(stream->buffer);
      stream->buffer = std::string();
    }
    committed = co_await queue_.Accept(queue_id, std::move(record), std::move(content));
    event.Error(committed);
  }
  const bool same_channel = stream->generation == generation_;
  if (committed.ok()) {
    ++totals_.accepted;
    if (same_channel) SendDone(id, submission::Outcome::kCommitted, {});
    co_return;
  }
  ++totals_.refused;
  const bool space = absl::IsResourceExhausted(committed);
  if (same_channel) {
    SendDone(id, submission::Outcome::kRefused,
             {.code = static_cast<uint16_t>(space ? 452 : 451),
              .enhanced = space ? "4.3.1" : "4.3.0",
              .text = space ? "insufficient system storage, try again later"
                            : "local trouble, try again later"});
  }
}

// A message too large for the log: written to its file as it comes.
io::Task<void> Intake::WriteFile(uint32_t id, std::shared_ptr<Stream> stream) {
  const std::string name = Queue::ContentName(stream->submit.queue_id);
  const absl::Status written = co_await WriteFileUntilEnd(id, *stream);
  if (!written.ok() && !stream->refused && !stream->cancelled) {
    const bool space = absl::IsResourceExhausted(written);
    log::Event(log::Severity::kError, log::kQueueWriteFailed)
        .Id(QueueId(stream->submit.queue_id))
        .Error(written);
    if (stream->generation == generation_) {
      Refuse(id, *stream, space ? 452 : 451, space ? "4.3.1" : "4.3.0",
             space ? "insufficient system storage, try again later"
                   : "local trouble, try again later");
    }
    stream->refused = true;
  }
  // Whatever still comes of a refused message is let go.
  while (!stream->ended && !stream->cancelled) {
    Credit(id, stream->buffer.size());
    Release(*stream);
    stream->more.Reset();
    if (!(co_await stream->more.Wait(io::Deadline::Never())).ok()) break;
  }
  Release(*stream);
  stream->file.reset();
  const bool keep = written.ok() && stream->ended && !stream->cancelled && !stream->refused;
  if (!keep)
    IgnoreStatus(co_await queue_.disk().Remove(name), "an orphan is removed at the next start");
  if (stream->generation == generation_ && streams_.erase(id) > 0) --totals_.streams;
  if (keep) {
    co_await Commit(id, stream);
    if (!queue_.Knows(stream->submit.queue_id))
      IgnoreStatus(co_await queue_.disk().Remove(name), "an orphan is removed at the next start");
  } else if (stream->generation == generation_) {
    SendDone(id,
             stream->cancelled ? submission::Outcome::kCancelled : submission::Outcome::kRefused,
             stream->refusal);
  }
}

io::Task<absl::Status> Intake::WriteFileUntilEnd(uint32_t id, Stream& stream) {
  CO_ASSIGN_OR_RETURN(stream.file,
                      co_await queue_.disk().Create(Queue::ContentName(stream.submit.queue_id), 0));
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
    totals_.buffered_octets -= piece.size();
    CO_RETURN_IF_ERROR(written);
    offset += piece.size();
    if (!stream.ended) Credit(id, piece.size());
  }
  // The content before the record that names it.
  CO_RETURN_IF_ERROR(co_await stream.file->Sync());
  co_return co_await queue_.disk().SyncDirectory("content");
}

}  // namespace postern::qmgr
