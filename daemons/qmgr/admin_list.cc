// What an operator sees of messages.
#include <algorithm>
#include <utility>

#include "daemons/qmgr/admin_connection.h"
#include "daemons/qmgr/admin_filter.h"

namespace postern::qmgr {

namespace admin = protocol::admin;

namespace {

constexpr absl::Duration kSendTimeout = absl::Minutes(1);

}  // namespace

admin::State AdminConnection::StateOf(const QueuedMessage& message) const {
  if (message.held()) return admin::State::kHeld;
  const auto view = queue_.scheduler().Look(message.id);
  return view.has_value() && view->deferred ? admin::State::kDeferred : admin::State::kActive;
}

admin::Message AdminConnection::Describe(const QueuedMessage& message) const {
  admin::Message described;
  described.queue_id = message.id;
  described.state = StateOf(message);
  if (message.held()) described.hold_reason = *message.hold_reason;
  described.arrival_us = message.arrival_us;
  if (const auto view = queue_.scheduler().Look(message.id); view.has_value())
    described.next_attempt_us = queue_.ToWallUs(view->next_due_us);
  described.attempts = message.attempts;
  described.octets = message.octets;
  described.recipient_count = message.left;
  return described;
}

// The recipients at `indices`, which ascend, with what the last attempt brought.
io::Task<void> AdminConnection::AddRecipients(const QueuedMessage& message,
                                              const MessageRecord& record,
                                              const std::vector<uint32_t>& indices,
                                              admin::Message& described) {
  for (const uint32_t index : indices) {
    described.recipients.push_back({.address = record.recipients[index].address,
                                    .orcpt = record.recipients[index].orcpt,
                                    .done = message.done.Has(index),
                                    .status = {},
                                    .diagnostic = {}});
  }
  if (message.last_attempt.segment == 0) co_return;
  const auto attempt = co_await queue_.store().LoadAttempt(message.id, message.last_attempt);
  if (!attempt.ok()) co_return;
  for (const RecipientAttempt& one : attempt->recipients) {
    const auto found = std::lower_bound(indices.begin(), indices.end(), one.index);
    if (found == indices.end() || *found != one.index) continue;
    admin::Recipient& recipient =
        described.recipients[static_cast<size_t>(found - indices.begin())];
    recipient.status = one.status;
    recipient.diagnostic =
        one.remote.empty()
            ? one.diagnostic
            : (one.remote + ": " + one.diagnostic).substr(0, protocol::kMaxReplyText);
  }
}

io::Task<absl::Status> AdminConnection::List(uint32_t id, admin::List list) {
  admin::Listed listed;
  const size_t limit = std::min(list.limit, kMaxPage);
  size_t looked_at = 0;
  listed.last_seen = list.after;
  for (;;) {
    const auto next = queue_.messages().upper_bound(listed.last_seen);
    if (next == queue_.messages().end()) break;
    if (listed.messages.size() >= limit || ++looked_at > kMaxLookedAt) {
      listed.more = true;
      break;
    }
    listed.last_seen = next->first;
    QueuedMessage* message = queue_.Find(next->first);
    if (message == nullptr || (list.only_state && StateOf(*message) != list.state)) continue;
    ++message->busy;
    const auto loaded = co_await queue_.store().Load(message->id, message->where);
    if (loaded.ok() && SenderFits(list, loaded->record)) {
      const std::vector<uint32_t> fitting =
          FittingRecipients(list, loaded->record, message->done, kListedRecipients);
      if (!fitting.empty() || list.recipient.empty()) {
        admin::Message& described = listed.messages.emplace_back(Describe(*message));
        described.sender = loaded->record.sender;
        co_await AddRecipients(*message, loaded->record, fitting, described);
      }
    } else if (!loaded.ok() && list.sender.empty() && list.recipient.empty()) {
      listed.messages.push_back(Describe(*message));
    }
    queue_.Unlock(*message);
  }
  const SchedulerCounts counts = queue_.scheduler().Counts();
  const uint64_t total = queue_.messages().size();
  listed.held = counts.held;
  listed.deferred = counts.deferred;
  listed.active = total - std::min<uint64_t>(total, counts.held + counts.deferred);
  co_return channel_.Send(id, listed);
}

io::Task<absl::Status> AdminConnection::SendContent(uint32_t id, uint64_t queue_id,
                                                    const LoadedMessage& loaded) {
  const MessageRecord& record = loaded.record;
  const std::string whole = record.prepend + loaded.content;
  for (std::string_view left = whole; !left.empty();) {
    const admin::ShownContent piece{.bytes = left.substr(0, protocol::kMaxContentPiece)};
    CO_RETURN_IF_ERROR(channel_.Send(id, piece));
    left.remove_prefix(piece.bytes.size());
    CO_RETURN_IF_ERROR(co_await channel_.WaitUntilFlushed(queue_.loop().After(kSendTimeout)));
  }
  if (!record.in_file) co_return absl::OkStatus();
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<DiskFile> file,
                      co_await queue_.disk().Open(ContentName(queue_id)));
  std::string buffer(protocol::kMaxContentPiece, '\0');
  for (uint64_t offset = 0; offset < record.content_octets;) {
    CO_ASSIGN_OR_RETURN(const size_t got,
                        co_await file->Read(buffer.data(), buffer.size(), offset));
    if (got == 0) co_return DataLoss("the content is shorter than it was");
    const admin::ShownContent piece{.bytes = std::string_view(buffer).substr(0, got)};
    CO_RETURN_IF_ERROR(channel_.Send(id, piece));
    CO_RETURN_IF_ERROR(co_await channel_.WaitUntilFlushed(queue_.loop().After(kSendTimeout)));
    offset += got;
  }
  co_return absl::OkStatus();
}

io::Task<absl::Status> AdminConnection::Show(uint32_t id, admin::Show show) {
  admin::Shown shown;
  QueuedMessage* message = queue_.Find(show.queue_id);
  if (message == nullptr) {
    shown.error = "no such message in the queue";
    co_return channel_.Send(id, shown);
  }
  ++message->busy;
  const auto loaded = co_await queue_.store().Load(show.queue_id, message->where);
  shown.message = Describe(*message);
  if (loaded.ok()) {
    const MessageRecord& record = loaded->record;
    shown.message.sender = record.sender;
    shown.envid = record.envid;
    shown.submitter = record.submitter;
    std::vector<uint32_t> page;
    for (uint32_t index = show.from;
         index < record.recipients.size() && page.size() < protocol::kMaxRecipientsPerPiece;
         ++index)
      page.push_back(index);
    if (!page.empty() && page.back() + 1 < record.recipients.size()) shown.next = page.back() + 1;
    co_await AddRecipients(*message, record, page, shown.message);
    if (show.content) {
      const absl::Status sent = co_await SendContent(id, show.queue_id, *loaded);
      if (!sent.ok()) shown.error = std::string(Message(sent)).substr(0, protocol::kMaxReason);
    }
  } else {
    shown.error = std::string(Message(loaded.status())).substr(0, protocol::kMaxReason);
  }
  queue_.Unlock(*message);
  co_return channel_.Send(id, shown);
}

}  // namespace postern::qmgr
