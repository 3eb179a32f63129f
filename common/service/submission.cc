#include "common/service/submission.h"

#include <algorithm>
#include <utility>

namespace postern::service {

namespace submission = protocol::submission;

absl::Status QmgrHandler::OnFrame(ipc::Frame& frame) {
  const auto found = open_.find(frame.id);
  Submission* stream =
      found == open_.end() ? nullptr : found->second;  // nullptr: its session is gone
  switch (frame.type) {
    case submission::kCredit: {
      ASSIGN_OR_RETURN(const auto credit, ipc::DecodeFrame<submission::Credit>(frame));
      if (stream != nullptr) stream->credit_ += credit.octets;
      break;
    }
    case submission::kRefused: {
      ASSIGN_OR_RETURN(auto refused, ipc::DecodeFrame<submission::Refused>(frame));
      if (stream != nullptr) stream->refusal_ = std::move(refused.reply);
      break;
    }
    case submission::kDone: {
      ASSIGN_OR_RETURN(auto done, ipc::DecodeFrame<submission::Done>(frame));
      if (stream == nullptr) break;
      open_.erase(found);
      stream->done_ = true;
      stream->committed_ = done.outcome == submission::Outcome::kCommitted;
      if (!stream->committed_) stream->refusal_ = std::move(done.reply);
      stream->id_ = 0;
      break;
    }
    default:
      return DataLoss("unexpected message type ", int{frame.type});
  }
  if (stream != nullptr) stream->changed_.Wake();
  return absl::OkStatus();
}

void QmgrHandler::OnDown(const absl::Status&) {
  channel_ = nullptr;
  for (const auto& [id, stream] : std::exchange(open_, {})) {
    stream->lost_ = true;
    stream->id_ = 0;
    stream->changed_.Wake();
  }
}

absl::Status Submission::Failure() const {
  if (lost_) return Unavailable("submit: the queue manager went away");
  if (refusal_.code != 0) return FailedPrecondition("submit: ", refusal_.text);
  return absl::OkStatus();
}

absl::Status Submission::Begin(const submission::Submit& submit,
                               const std::vector<submission::Recipient>& recipients) {
  ipc::Channel* channel = qmgr_->channel();
  if (channel == nullptr) return Unavailable("submit: no queue manager");
  const uint32_t id = channel->NewId();
  RETURN_IF_ERROR(channel->Send(id, submit));
  id_ = id;
  qmgr_->open_[id] = this;
  for (size_t at = 0; at < recipients.size(); at += protocol::kMaxRecipientsPerPiece) {
    const size_t end = std::min<size_t>(recipients.size(), at + protocol::kMaxRecipientsPerPiece);
    submission::Recipients piece;
    piece.recipients.assign(recipients.begin() + static_cast<ptrdiff_t>(at),
                            recipients.begin() + static_cast<ptrdiff_t>(end));
    RETURN_IF_ERROR(channel->Send(id, piece));
  }
  return absl::OkStatus();
}

io::Task<absl::Status> Submission::Write(std::string_view content, io::Deadline until) {
  while (!content.empty()) {
    CO_RETURN_IF_ERROR(Failure());
    if (credit_ == 0) {
      CO_RETURN_IF_ERROR(co_await changed_.Wait(until));
      continue;
    }
    const size_t octets = std::min(
        {content.size(), static_cast<size_t>(credit_), size_t{protocol::kMaxContentPiece}});
    const submission::Content piece{.bytes = content.substr(0, octets)};
    CO_RETURN_IF_ERROR(qmgr_->channel()->Send(id_, piece));
    credit_ -= octets;
    content.remove_prefix(octets);
  }
  co_return absl::OkStatus();
}

io::Task<absl::Status> Submission::Finish(io::Deadline until) {
  CO_RETURN_IF_ERROR(Failure());
  ended_ = true;
  CO_RETURN_IF_ERROR(qmgr_->channel()->Send(id_, submission::End{}));
  while (!done_ && !lost_) CO_RETURN_IF_ERROR(co_await changed_.Wait(until));
  if (committed_) co_return absl::OkStatus();
  const absl::Status failure = Failure();
  co_return failure.ok() ? Unavailable("submit: refused without a reason") : failure;
}

void Submission::Cancel() {
  if (id_ == 0) return;
  qmgr_->open_.erase(id_);
  if (ipc::Channel* channel = qmgr_->channel(); channel != nullptr && !ended_) {
    IgnoreStatus(channel->Send(id_, submission::Cancel{}),
                 "a channel that is gone forgets the message by itself");
  }
  id_ = 0;
}

}  // namespace postern::service
