// Old segments of which little is alive: that is copied forward, and the segment goes.
#include <utility>

#include "daemons/qmgr/queue.h"

namespace postern::qmgr {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);

}  // namespace

io::Task<absl::Status> Queue::Upkeep() {
  for (;;) {
    CO_RETURN_IF_ERROR(co_await io::Sleep(loop_.After(kInterval)));
    if (const uint64_t segment = store_.SegmentToEmpty(); segment != 0)
      co_await CopyForward(segment);
  }
}

io::Task<void> Queue::CopyForward(uint64_t segment) {
  std::vector<uint64_t> ids;
  for (const auto& [id, message] : messages_) {
    if (message.where.segment == segment && !message.removed) ids.push_back(id);
  }
  for (const uint64_t id : ids) {
    QueuedMessage* message = Find(id);
    if (message == nullptr || message->where.segment != segment) continue;
    ++message->busy;
    const absl::Status copied = co_await CopyMessage(*message);
    Unlock(*message);
    if (!copied.ok()) co_return;
  }
}

// An error ends this round; the next begins in a second.
io::Task<absl::Status> Queue::CopyMessage(QueuedMessage& message) {
  const uint64_t id = message.id;
  auto loaded = co_await store_.Load(id, message.where);
  if (!loaded.ok()) {
    Unreadable(message, loaded.status());
    co_return loaded.status();
  }
  const Location attempt_at = message.last_attempt;
  absl::StatusOr<AttemptRecord> attempt = NotFound("no attempt yet");
  if (attempt_at.segment != 0) attempt = co_await store_.LoadAttempt(id, attempt_at);
  if (message.removed) co_return absl::OkStatus();  // a copy behind its removal would bring it back
  MessageRecord& record = loaded->record;
  for (uint32_t index = 0; index < message.recipients; ++index)
    record.recipients[index].done = message.done.Has(index);
  record.attempts = message.attempts;
  const auto view = scheduler_.Look(id);
  record.next_attempt_us = view.has_value() ? ToWallUs(view->next_due_us) : 0;
  record.delay_notified = message.delay_notified;
  record.hold_reason = message.held() ? *message.hold_reason : std::string();
  std::string body;
  if (!ipc::Encode(record, body)) co_return Internal("a message that does not fit its record");
  // Appended at once: what changes from here on comes behind the copy.
  const auto where =
      co_await store_.Commit(id, std::move(body), std::move(loaded->content), Store::Why::kCopy);
  CO_RETURN_IF_ERROR(where.status());
  store_.Forget(std::exchange(message.where, *where));
  if (attempt.ok() && !message.removed && message.last_attempt.segment == attempt_at.segment &&
      message.last_attempt.offset == attempt_at.offset) {
    attempt->attempts = message.attempts;
    attempt->next_attempt_us = record.next_attempt_us;
    for (RecipientAttempt& one : attempt->recipients)
      one.done = one.index < message.recipients && message.done.Has(one.index);
    store_.Append(RecordType::kAttempt, id, *attempt);
  }
  co_return absl::OkStatus();
}

}  // namespace postern::qmgr
