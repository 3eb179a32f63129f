// What an operator asks for, and what a policy or the queue itself does alike.
#include <algorithm>
#include <utility>

#include "common/base/queue_id.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

void Queue::LogAct(log::Severity severity, log::EventName name, uint64_t id,
                   std::string_view reason, const Actor& actor) {
  log::Event event(severity, name);
  event.Id(QueueId(id)).Str("by", actor.by);
  if (actor.uid >= 0) event.Int("uid", actor.uid);
  if (!reason.empty()) event.Str("reason", reason);
}

bool Queue::Hold(uint64_t id, std::string reason, const Actor& actor) {
  QueuedMessage* message = Find(id);
  if (message == nullptr || message->held()) return false;
  if (reason.empty()) reason = "held by the operator";
  reason.resize(std::min<size_t>(reason.size(), protocol::kMaxReason));
  message->hold_reason = std::make_unique<std::string>(reason);
  scheduler_.Hold(id);
  // The queue's own hold is a sign of trouble.
  LogAct(actor.by == Actor().by ? log::Severity::kError : log::Severity::kNotice, log::kMessageHeld,
         id, reason, actor);
  store_.Append(RecordType::kHold, id, HoldRecord{.reason = std::move(reason)});
  return true;
}

bool Queue::Release(uint64_t id, std::string_view reason, const Actor& actor) {
  QueuedMessage* message = Find(id);
  if (message == nullptr || !message->held()) return false;
  message->hold_reason.reset();
  scheduler_.Release(id, NowUs());
  LogAct(log::Severity::kNotice, log::kMessageReleased, id, reason, actor);
  store_.Append(RecordType::kRelease, id, EmptyRecord{});
  changed_.Wake();
  if (message->stranded) {
    ++message->busy;
    work_.Spawn(Reschedule(id));
  }
  return true;
}

bool Queue::Requeue(uint64_t id, std::string_view reason, const Actor& actor) {
  const QueuedMessage* message = Find(id);
  if (message == nullptr || message->held() || scheduler_.Flush(id, NowUs()) == 0) return false;
  LogAct(log::Severity::kNotice, log::kMessageRequeued, id, reason, actor);
  changed_.Wake();
  return true;
}

bool Queue::Delete(uint64_t id, std::string_view reason, const Actor& actor) {
  QueuedMessage* message = Find(id);
  if (message == nullptr) return false;
  LogAct(log::Severity::kNotice, log::kMessageDeleted, id, reason, actor);
  store_.Append(RecordType::kRemove, id, EmptyRecord{});
  message->removed = true;
  scheduler_.Remove(id);
  RemoveIfDone(id);
  return true;
}

uint64_t Queue::Flush(const std::string& destination, const Actor& actor) {
  const uint64_t count = destination.empty() ? scheduler_.FlushAll(NowUs())
                                             : scheduler_.FlushDestination(destination, NowUs());
  log::Event event(log::Severity::kNotice, log::kQueueFlushed);
  if (!destination.empty()) event.Str("next_hop", destination);
  event.Int("count", count).Str("by", actor.by);
  if (actor.uid >= 0) event.Int("uid", actor.uid);
  changed_.Wake();
  return count;
}

// What could not be read once is read again when it is released, and grouped anew.
io::Task<void> Queue::Reschedule(uint64_t id) {
  QueuedMessage& message = messages_.at(id);  // busy: it stays
  const auto loaded = co_await store_.Load(id, message.where);
  const auto view = scheduler_.Look(id);
  if (!loaded.ok()) {
    Unreadable(message, loaded.status());
  } else if (!message.removed && !message.held() && !(view.has_value() && view->with_worker)) {
    // With a job under way it stays stranded: a recipient must not go out twice.
    message.stranded = false;
    scheduler_.Remove(id);
    Schedule(message, loaded->record, 0);
  }
  Unlock(message);
}

}  // namespace postern::qmgr
