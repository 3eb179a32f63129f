#include "daemons/qmgr/notices.h"

#include <algorithm>
#include <utility>

#include "common/log/log.h"

namespace postern::qmgr {

namespace notice = protocol::notice;

namespace {

constexpr absl::Duration kNoticeTimeout = absl::Minutes(2);

std::string_view KindName(notice::Kind kind) {
  switch (kind) {
    case notice::Kind::kFailure:
      return "failure";
    case notice::Kind::kDelay:
      return "delay";
    case notice::Kind::kSuccess:
      return "success";
  }
  return "";
}

}  // namespace

class Notices::Handler final : public service::PeerHandler {
 public:
  explicit Handler(Notices& notices) : notices_(notices) {}
  absl::Status OnFrame(ipc::Frame& frame) override {
    return DataLoss("unexpected message type ", int{frame.type});
  }
  void OnUp(ipc::Channel& channel) override { notices_.channel_ = &channel; }
  void OnDown(const absl::Status&) override { notices_.channel_ = nullptr; }

 private:
  Notices& notices_;
};

std::unique_ptr<service::PeerHandler> Notices::MakeHandler(uint8_t origin) {
  ids_ = QueueIdMaker(origin);
  return std::make_unique<Handler>(*this);
}

io::Task<bool> Notices::Notify(uint64_t id, const LoadedMessage& loaded, NoticeWish& wish) {
  const MessageRecord& record = loaded.record;
  const absl::StatusOr<std::string> head =
      co_await queue_.ReadHead(id, loaded, notice::kMaxReturned);
  if (!head.ok()) {
    log::Event(log::Severity::kWarning, log::kNoticeFailed).Id(QueueId(id)).Error(head.status());
    co_return false;
  }
  notice::Notice message;
  message.kind = wish.kind;
  message.queue_id = id;
  message.sender = NoticeAddress(record, wish, queue_.settings().queue.double_bounce_recipient);
  message.envid = record.envid;
  message.ret = record.ret;
  message.smtputf8 = record.smtputf8;
  message.body = record.body;
  message.arrival_us = record.arrival_us;
  message.retry_until_us =
      record.arrival_us + absl::ToInt64Microseconds(queue_.settings().queue.lifetime);
  message.content_octets = record.prepend.size() + record.content_octets;
  message.complete = head->size() == message.content_octets;
  message.returned = *head;
  // Many recipients: a notice for each hundred.
  while (!wish.recipients.empty()) {
    const auto end =
        wish.recipients.begin() + static_cast<ptrdiff_t>(std::min<size_t>(
                                      wish.recipients.size(), protocol::kMaxRecipientsPerPiece));
    message.recipients.assign(wish.recipients.begin(), end);
    message.notice_id = ids_.Next(queue_.WallUs() / 1000).value();
    if (!co_await Ask(id, message)) co_return false;
    wish.recipients.erase(wish.recipients.begin(), end);
  }
  co_return true;
}

io::Task<bool> Notices::Ask(uint64_t id, const notice::Notice& message) {
  if (channel_ == nullptr) co_return false;
  const auto answer =
      co_await channel_->Call<notice::NoticeDone>(message, queue_.loop().After(kNoticeTimeout));
  if (!answer.ok() || answer->outcome == notice::Outcome::kFailed) {
    log::Event(log::Severity::kWarning, log::kNoticeFailed)
        .Id(QueueId(id))
        .Str("reason", answer.ok() ? answer->reason : "")
        .Error(answer.status());
    co_return false;
  }
  const bool sent = answer->outcome == notice::Outcome::kSubmitted;
  log::Event event(log::Severity::kInfo, sent ? log::kNoticeSent : log::kNoticeSkipped);
  event.Id(QueueId(id)).Str("kind", KindName(message.kind)).Str("to", message.sender);
  if (sent) event.Str("notice", QueueId(message.notice_id).ToString());
  if (!sent) event.Str("reason", answer->reason);
  co_return true;
}

}  // namespace postern::qmgr
