// Notices: failures, successes somebody asked for, delays, and the end of a message's time. A
// recipient that failed is done when its notice is in the queue, however long bounced takes; so
// that this costs no memory, only kMaxTelling messages are read for it at once.
#include <algorithm>
#include <utility>

#include "common/base/queue_id.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

namespace delivery = protocol::delivery;
namespace notice = protocol::notice;

namespace {

// Between two requests for one notice.
constexpr absl::Duration kNoticePause = absl::Seconds(5);
constexpr size_t kMaxAgedAtOnce = 1000;
constexpr std::string_view kExpiredStatus = "4.4.7";  // RFC 3463 §3.5: delivery time expired

}  // namespace

void Queue::TakeAged() {
  for (const AgedMessage& aged : scheduler_.TakeAged(NowUs(), kMaxAgedAtOnce)) {
    QueuedMessage* message = Find(aged.message_id);
    if (message == nullptr) continue;
    const bool late = aged.what == AgedMessage::What::kLate;
    if (!late) {
      log::Event(log::Severity::kNotice, log::kMessageExpired)
          .Id(QueueId(aged.message_id))
          .Ms("age", absl::Microseconds(NowUs() - message->born_us))
          .Int("recipients", message->left);
    }
    TellLater(*message, {.what = late ? Telling::What::kLate : Telling::What::kExpired});
  }
  StartTellings();
}

void Queue::TellLater(QueuedMessage& message, Telling telling) {
  ++message.busy;
  telling.id = message.id;
  tellings_.push_back(std::move(telling));
}

void Queue::StartTellings() {
  while (telling_ < kMaxTelling && !tellings_.empty() && !work_.stop_requested()) {
    ++telling_;
    work_.Spawn(RunTelling(std::move(tellings_.front())));
    tellings_.pop_front();
  }
}

io::Task<void> Queue::RunTelling(Telling telling) {
  QueuedMessage& message = messages_.at(telling.id);  // busy: it stays
  switch (telling.what) {
    case Telling::What::kResults:
      co_await TellResults(message, telling);
      break;
    case Telling::What::kLate:
      co_await TellLate(message);
      break;
    case Telling::What::kExpired:
      co_await TellExpired(message);
      break;
  }
  Unlock(message);
  --telling_;
  StartTellings();
}

io::Task<void> Queue::TellResults(QueuedMessage& message, Telling& telling) {
  const auto loaded = co_await store_.Load(message.id, message.where);
  if (!loaded.ok()) {
    if (!telling.failed.empty()) message.stranded = true;
    Unreadable(message, loaded.status());
    co_return;
  }
  if (message.wants_success && !telling.succeeded.empty()) {
    co_await Send(message, *loaded,
                  WishFor(notice::Kind::kSuccess, loaded->record, telling.succeeded,
                          telling.transport, WallUs()));
  }
  if (!telling.failed.empty()) co_await TellFailed(message, *loaded, telling.failed);
}

// If it stops before the notice is sent, the recipients are tried again after the next start.
io::Task<void> Queue::TellFailed(QueuedMessage& message, const LoadedMessage& loaded,
                                 const Results& failed) {
  if (!co_await Send(
          message, loaded,
          WishFor(notice::Kind::kFailure, loaded.record, failed, Transport::kRemote, WallUs())))
    co_return;
  for (const delivery::Result& result : failed) {
    log::Event(log::Severity::kNotice, log::kMessageBounced)
        .Id(QueueId(message.id))
        .Str("to", loaded.record.recipients[result.index].address)
        .Str("status", result.status)
        .Str("reason", result.diagnostic);
  }
  MarkDone(message, failed);
  if (message.left > 0 && !message.removed) AppendAttempt(message, {&failed});
}

// What is said of recipients for whom nothing more is known: the words of the last attempt, if they
// are among it.
io::Task<Queue::Results> Queue::LastWords(const QueuedMessage& message,
                                          std::vector<uint32_t> recipients, bool expired) {
  const std::string prefix = expired ? "expired: " : "not delivered yet: ";
  std::sort(recipients.begin(), recipients.end());
  Results results(recipients.size());
  for (size_t i = 0; i < recipients.size(); ++i) {
    results[i].index = recipients[i];
    results[i].status = kExpiredStatus;
    results[i].diagnostic = prefix + "no server has taken it in all that time";
  }
  // The last attempt may have just been appended.
  IgnoreStatus(co_await store_.Flush(), "older words do as well");
  if (message.last_attempt.segment == 0) co_return results;
  const auto attempt = co_await store_.LoadAttempt(message.id, message.last_attempt);
  if (!attempt.ok()) co_return results;
  for (const RecipientAttempt& one : attempt->recipients) {
    const auto found = std::lower_bound(recipients.begin(), recipients.end(), one.index);
    if (found == recipients.end() || *found != one.index || one.done) continue;
    delivery::Result& result = results[static_cast<size_t>(found - recipients.begin())];
    result.diagnostic =
        (prefix + "the last attempt: " + one.diagnostic).substr(0, protocol::kMaxReplyText);
    result.remote = one.remote;
    // Why it is late, as long as that is not that it is too old.
    if (!expired && one.status.starts_with('4')) result.status = one.status;
  }
  co_return results;
}

io::Task<void> Queue::TellExpired(QueuedMessage& message) {
  const auto loaded = co_await store_.Load(message.id, message.where);
  if (!loaded.ok()) {
    Unreadable(message, loaded.status());
    co_return;
  }
  Results failed =
      co_await LastWords(message, scheduler_.RecipientsLeft(message.id), /*expired=*/true);
  // Held, released or deleted meanwhile: it lives on, or nobody is to be told.
  const auto view = scheduler_.Look(message.id);
  if (message.held() || !view.has_value() || !view->expired) co_return;
  scheduler_.TakeLeft(message.id);
  for (delivery::Result& result : failed) result.outcome = delivery::Outcome::kFailed;
  co_await TellFailed(message, *loaded, failed);
}

io::Task<void> Queue::TellLate(QueuedMessage& message) {
  const auto loaded = co_await store_.Load(message.id, message.where);
  if (!loaded.ok()) {
    Unreadable(message, loaded.status());
    co_return;
  }
  const Results waiting =
      co_await LastWords(message, scheduler_.RecipientsLeft(message.id), /*expired=*/false);
  if (waiting.empty() || message.held()) co_return;
  if (!co_await Send(
          message, *loaded,
          WishFor(notice::Kind::kDelay, loaded->record, waiting, Transport::kRemote, WallUs())))
    co_return;
  message.delay_notified = true;
  if (message.left > 0 && !message.removed) AppendAttempt(message, {&waiting});
}

// Asks for a notice until it is in the queue. False: the message was deleted, the delay is over, or
// the process stops.
io::Task<bool> Queue::Send(QueuedMessage& message, const LoadedMessage& loaded, NoticeWish wish) {
  if (wish.recipients.empty()) co_return true;
  if (NoticeAddress(loaded.record, wish, settings_->queue.double_bounce_recipient).empty()) {
    // A notice about a notice would never end (RFC 5321 §6.1).
    if (wish.kind == notice::Kind::kFailure) {
      log::Event(log::Severity::kWarning, log::kNoticeDouble)
          .Id(QueueId(message.id))
          .Str("to", wish.recipients.front().address)
          .Int("recipients", wish.recipients.size())
          .Str("reason", wish.recipients.front().diagnostic);
    }
    co_return true;
  }
  const notice::Kind kind = wish.kind;
  for (;;) {
    if (notify_ && co_await notify_(message.id, loaded, wish)) co_return true;
    if (message.removed || (kind == notice::Kind::kDelay && message.left == 0)) co_return false;
    if (!(co_await io::Sleep(loop_.After(kNoticePause))).ok()) co_return false;
    if (message.removed) co_return false;
  }
}

// What cannot be read can neither be delivered nor returned: the operator must see it.
void Queue::Unreadable(QueuedMessage& message, const absl::Status& why) {
  log::Event(log::Severity::kError, log::kQueueReadFailed).Id(QueueId(message.id)).Error(why);
  Hold(message.id, "the message cannot be read back from the queue's log", {});
}

}  // namespace postern::qmgr
