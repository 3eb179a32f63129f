#include "daemons/qmgr/queue.h"

#include <algorithm>
#include <utility>

#include "common/base/queue_id.h"
#include "common/io/clock.h"
#include "common/log/log.h"
#include "daemons/qmgr/routing.h"

namespace postern::qmgr {
namespace {

namespace delivery = protocol::delivery;
namespace notice = protocol::notice;

constexpr absl::Duration kNoticePause = absl::Seconds(5);
constexpr absl::Duration kSweepInterval = absl::Seconds(1);
// Messages looked at in one sweep: the rest has its turn in the next.
constexpr size_t kMaxExpiredASweep = 500;

std::string IdText(uint64_t id) { return QueueId(id).ToString(); }

size_t CacheCost(const LoadedMessage& loaded) {
  return loaded.content.size() + loaded.record.prepend.size() + 512;
}

bool WantsSuccess(const MessageRecord& record) {
  return std::any_of(record.recipients.begin(), record.recipients.end(),
                     [](const RecipientRecord& recipient) {
                       return (recipient.notify & protocol::kNotifySuccess) != 0;
                     });
}

}  // namespace

SchedulerOptions OptionsOf(const config::Settings& settings) {
  SchedulerOptions options;
  options.retry_first_us = absl::ToInt64Microseconds(settings.queue.retry_first);
  options.retry_longest_us = absl::ToInt64Microseconds(settings.queue.retry_longest);
  // An unreachable destination is not left alone for longer than a message of its would be.
  options.pace_longest_us = std::min(options.pace_longest_us, options.retry_longest_us);
  options.max_window =
      static_cast<uint32_t>(std::max(1, settings.outbound.max_connections_per_destination));
  options.initial_window = std::min<uint32_t>(5, options.max_window);
  options.seed = static_cast<uint64_t>(absl::GetCurrentTimeNanos());
  return options;
}

Queue::Queue(io::Loop& loop, Disk& disk, const config::Settings& settings)
    : loop_(loop),
      disk_(disk),
      settings_(&settings),
      store_(disk, {.segment_octets = settings.queue.segment_octets,
                    .reserve_octets = settings.queue.reserve_octets}),
      scheduler_(OptionsOf(settings)) {
  store_.OnAttemptWritten([this](uint64_t id, Location where) {
    if (QueuedMessage* message = Find(id); message != nullptr) message->last_attempt = where;
  });
}

void Queue::OnSettings(const config::Settings& settings) {
  settings_ = &settings;
  scheduler_.SetOptions(OptionsOf(settings));
}

QueuedMessage* Queue::Find(uint64_t id) {
  const auto found = messages_.find(id);
  return found == messages_.end() || found->second.removed ? nullptr : &found->second;
}

std::string Queue::ContentName(uint64_t id) { return "content/" + IdText(id); }

// Groups what is left to do by next hop.
void Queue::Schedule(QueuedMessage& message, const MessageRecord& record, int64_t due_us) {
  std::vector<UnitSpec> units;
  for (uint32_t index = 0; index < record.recipients.size(); ++index) {
    if (message.done.Has(index)) continue;
    const Hop hop =
        HopFor(record.recipients[index].address, record.recipients[index].kind, *settings_);
    auto unit = std::find_if(units.begin(), units.end(), [&](const UnitSpec& one) {
      return one.route == hop.route && one.destination == hop.destination;
    });
    if (unit == units.end())
      unit = units.insert(units.end(),
                          {.route = hop.route, .destination = hop.destination, .recipients = {}});
    unit->recipients.push_back(index);
  }
  const std::string& fair = record.sender.empty() ? record.submitter : record.sender;
  scheduler_.Add(message.id, fair, std::move(units), message.attempts, due_us, NowUs());
  changed_.Wake();
}

io::Task<absl::Status> Queue::Recover() {
  const io::Deadline began = loop_.Now();
  const int64_t wall = WallUs();
  const int64_t longest = absl::ToInt64Microseconds(settings_->queue.retry_longest);
  auto report = co_await store_.Open([&](RecoveredMessage&& recovered) {
    QueuedMessage& message = messages_[recovered.queue_id];
    message.id = recovered.queue_id;
    message.where = recovered.where;
    message.last_attempt = recovered.last_attempt;
    message.arrival_us = recovered.record.arrival_us;
    message.octets = recovered.record.content_octets;
    message.recipients = static_cast<uint32_t>(recovered.record.recipients.size());
    message.attempts = recovered.record.attempts;
    message.null_sender = recovered.record.sender.empty();
    message.in_file = recovered.record.in_file;
    message.delay_notified = recovered.record.delay_notified;
    message.wants_success = WantsSuccess(recovered.record);
    message.done.Resize(message.recipients);
    for (uint32_t i = 0; i < message.recipients; ++i) {
      if (recovered.record.recipients[i].done) {
        message.done.Add(i);
      } else {
        ++message.left;
      }
    }
    if (!recovered.record.hold_reason.empty()) {
      message.held = true;
      ++held_;
      message.hold_reason = std::make_unique<std::string>(recovered.record.hold_reason);
      return;
    }
    // The wall clock may have jumped meanwhile: never further away than the longest wait.
    const int64_t wait = std::clamp<int64_t>(recovered.record.next_attempt_us - wall, 0, longest);
    message.next_attempt_us = wait > 0 ? wall + wait : 0;
    Schedule(message, recovered.record, wait > 0 ? NowUs() + wait : 0);
  });
  CO_RETURN_IF_ERROR(report.status());
  for (const std::string& remark : report->remarks) {
    log::Event(log::Severity::kWarning, log::kQueueRecovered).Str("reason", remark);
  }
  // Removed at the end of a life that had no time to say so.
  std::vector<uint64_t> finished;
  for (const auto& [id, message] : messages_) {
    if (message.left == 0) finished.push_back(id);
  }
  for (const uint64_t id : finished) RemoveIfDone(id);
  CO_ASSIGN_OR_RETURN(const std::vector<std::string> files, disk_.List("content"));
  co_await RemoveOrphans(files);
  log::Event(log::Severity::kInfo, log::kQueueOpened)
      .Int("messages", messages_.size())
      .Int("segments", report->segments)
      .Int("records", report->records)
      .Ms("took", absl::Nanoseconds(io::MonotonicNanoseconds() - began.nanoseconds()));
  co_return absl::OkStatus();
}

// Contents whose message was never committed, or has gone.
io::Task<void> Queue::RemoveOrphans(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const Parsed<QueueId> id = QueueId::Parse(file);
    if (!id.has_value()) {
      log::Event(log::Severity::kWarning, log::kQueueForeign)
          .Str("file", "content/" + file)
          .Str("reason", "not a content of ours, left alone");
      continue;
    }
    const auto found = messages_.find(id->value());
    if (found != messages_.end() && found->second.in_file) continue;
    IgnoreStatus(co_await disk_.Remove("content/" + file), "it is tried again at the next start");
  }
}

io::Task<absl::Status> Queue::Accept(uint64_t id, MessageRecord record, std::string content) {
  if (messages_.contains(id)) co_return absl::AlreadyExistsError("the queue id is in use");
  // Known from now on, so that nobody else takes the id.
  QueuedMessage& message = messages_[id];
  message.id = id;
  message.removed = true;
  std::string body;
  if (!ipc::Encode(record, body)) {
    messages_.erase(id);
    co_return InvalidArgument("the envelope is out of bounds");
  }
  auto loaded = std::make_shared<LoadedMessage>();
  loaded->record = std::move(record);
  const bool keep = cached_octets_ + content.size() <= kMaxCachedOctets;
  if (keep) loaded->content = content;
  const auto where =
      co_await store_.Commit(id, std::move(body), std::move(content), Store::Why::kNewMail);
  if (!where.ok()) {
    messages_.erase(id);
    co_return where.status();
  }
  message.removed = false;
  message.where = *where;
  message.arrival_us = loaded->record.arrival_us;
  message.octets = loaded->record.content_octets;
  message.recipients = message.left = static_cast<uint32_t>(loaded->record.recipients.size());
  message.done.Resize(message.recipients);
  message.null_sender = loaded->record.sender.empty();
  message.in_file = loaded->record.in_file;
  message.wants_success = WantsSuccess(loaded->record);
  if (!loaded->record.hold_reason.empty()) {
    message.held = true;
    ++held_;
    message.hold_reason = std::make_unique<std::string>(loaded->record.hold_reason);
    co_return absl::OkStatus();
  }
  if (keep) {
    cached_octets_ += CacheCost(*loaded);
    message.cached = loaded;
  }
  Schedule(message, loaded->record, 0);
  co_return absl::OkStatus();
}

io::Task<absl::StatusOr<std::shared_ptr<const LoadedMessage>>> Queue::Load(QueuedMessage& message) {
  if (message.cached != nullptr) {
    // Handed out once from memory; a retry reads the log.
    cached_octets_ -= std::min(cached_octets_, CacheCost(*message.cached));
    co_return std::exchange(message.cached, nullptr);
  }
  const uint64_t id = message.id;
  CO_ASSIGN_OR_RETURN(LoadedMessage loaded, co_await store_.Load(id, message.where));
  co_return std::make_shared<const LoadedMessage>(std::move(loaded));
}

io::Task<absl::StatusOr<std::string>> Queue::ReadHead(uint64_t id, const LoadedMessage& loaded,
                                                      size_t octets) {
  std::string head = loaded.record.prepend.substr(0, octets);
  const size_t more = octets - head.size();
  if (!loaded.record.in_file) {
    head += std::string_view(loaded.content).substr(0, more);
    co_return head;
  }
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<DiskFile> file, co_await disk_.Open(ContentName(id)));
  const size_t had = head.size();
  head.resize(had + static_cast<size_t>(std::min<uint64_t>(more, loaded.record.content_octets)));
  CO_ASSIGN_OR_RETURN(const size_t got,
                      co_await file->Read(head.data() + had, head.size() - had, 0));
  head.resize(had + got);
  co_return head;
}

bool Queue::Expired(const QueuedMessage& message) const {
  const absl::Duration lifetime =
      message.null_sender ? settings_->queue.bounce_lifetime : settings_->queue.lifetime;
  return WallUs() - message.arrival_us > absl::ToInt64Microseconds(lifetime);
}

void Queue::Finish(const Job& job, std::vector<delivery::Result> results, Verdict verdict,
                   const std::string& reason) {
  QueuedMessage* message = Find(job.message_id);
  if (message == nullptr) {
    scheduler_.JobDone(job.job_id, verdict, reason, {}, NowUs());
    changed_.Wake();
    return;
  }
  Outcomes outcomes;
  const bool expired = Expired(*message);
  for (const uint32_t index : job.recipients) {
    if (message->done.Has(index)) continue;
    const auto found =
        std::find_if(results.begin(), results.end(),
                     [index](const delivery::Result& one) { return one.index == index; });
    delivery::Result result;
    if (found != results.end()) {
      result = std::move(*found);
    } else {
      result.diagnostic = reason.empty() ? "the delivery process gave no result" : reason;
      result.status = "4.3.0";
    }
    result.index = index;
    switch (result.outcome) {
      case delivery::Outcome::kDelivered:
      case delivery::Outcome::kRelayed:
        outcomes.succeeded.push_back(std::move(result));
        break;
      case delivery::Outcome::kFailed:
        outcomes.failed.push_back(std::move(result));
        break;
      case delivery::Outcome::kDeferred:
        if (expired) {
          result.diagnostic = "expired after repeated attempts; the last one: " + result.diagnostic;
          if (result.diagnostic.size() > protocol::kMaxReplyText)
            result.diagnostic.resize(protocol::kMaxReplyText);
          result.status = "4.4.7";
          outcomes.failed.push_back(std::move(result));
        } else {
          outcomes.deferred.push_back(std::move(result));
        }
        break;
    }
  }
  std::vector<uint32_t> again;
  for (const delivery::Result& result : outcomes.deferred) again.push_back(result.index);
  const Scheduler::Done done =
      scheduler_.JobDone(job.job_id, verdict, reason, std::move(again), NowUs());
  ++message->busy;
  work_.Spawn(Record(job.message_id, std::move(outcomes), done.attempts, done.next_due_us,
                     job.route == Route::kLocal));
  changed_.Wake();
}

void Queue::Lost(const Job& job) {
  const bool poison = scheduler_.JobLost(job.job_id, NowUs());
  changed_.Wake();
  if (!poison || Find(job.message_id) == nullptr) return;
  log::Event(log::Severity::kError, log::kMessageHeld)
      .Id(QueueId(job.message_id))
      .Str("reason", "poison");
  Hold(job.message_id, "three delivery processes died with this message");
}

void Queue::MarkDone(QueuedMessage& message, const std::vector<delivery::Result>& results) {
  for (const delivery::Result& result : results) {
    if (message.done.Has(result.index)) continue;
    message.done.Add(result.index);
    --message.left;
  }
}

// Asks for a notice and waits until it is in the queue, however long bounced takes.
io::Task<bool> Queue::Tell(QueuedMessage& message, const LoadedMessage& loaded, notice::Kind kind,
                           const std::vector<delivery::Result>& results, bool local) {
  NoticeWish wish{.kind = kind, .recipients = {}};
  for (const delivery::Result& result : results) {
    const RecipientRecord& recipient = loaded.record.recipients[result.index];
    if (recipient.notify == protocol::kNotifyNever) continue;
    const bool asked_success = (recipient.notify & protocol::kNotifySuccess) != 0;
    // A next hop that knows DSN sends the notice itself.
    if (kind == notice::Kind::kSuccess &&
        (!asked_success || (result.outcome == delivery::Outcome::kDelivered && !local)))
      continue;
    if (kind == notice::Kind::kFailure && recipient.notify != 0 &&
        (recipient.notify & protocol::kNotifyFailure) == 0)
      continue;
    if (kind == notice::Kind::kDelay && recipient.notify != 0 &&
        (recipient.notify & protocol::kNotifyDelay) == 0)
      continue;
    wish.recipients.push_back({.address = recipient.address,
                               .orcpt = recipient.orcpt,
                               .notify = recipient.notify,
                               .relayed = result.outcome == delivery::Outcome::kRelayed,
                               .status = result.status,
                               .diagnostic = result.diagnostic,
                               .remote_words = result.remote_words,
                               .remote = result.remote,
                               .last_attempt_us = WallUs()});
  }
  if (wish.recipients.empty()) co_return true;
  if (loaded.record.sender.empty() && settings_->queue.double_bounce_recipient.empty()) {
    // A notice about a notice would never end (RFC 5321 §6.1).
    if (kind == notice::Kind::kFailure) {
      log::Event(log::Severity::kWarning, log::kNoticeDouble)
          .Id(QueueId(message.id))
          .Str("to", wish.recipients.front().address)
          .Str("reason", wish.recipients.front().diagnostic);
    }
    co_return true;
  }
  const uint64_t id = message.id;
  for (;;) {
    if (notify_ && co_await notify_(id, loaded, wish)) co_return true;
    if (kind != notice::Kind::kFailure) co_return false;
    if (!(co_await io::Sleep(loop_.After(kNoticePause))).ok()) co_return false;
  }
}

io::Task<void> Queue::Record(uint64_t id, Outcomes outcomes, uint32_t attempts, int64_t next_due_us,
                             bool local) {
  QueuedMessage& message = messages_.at(id);  // busy: it stays
  message.attempts = std::max(message.attempts, attempts);
  MarkDone(message, outcomes.succeeded);
  const bool wants_delay_notice =
      !outcomes.deferred.empty() && !message.delay_notified &&
      settings_->queue.delay_notice > absl::ZeroDuration() &&
      WallUs() - message.arrival_us > absl::ToInt64Microseconds(settings_->queue.delay_notice);
  const bool may_want_success =
      message.wants_success && std::any_of(outcomes.succeeded.begin(), outcomes.succeeded.end(),
                                           [local](const delivery::Result& result) {
                                             return local ||
                                                    result.outcome == delivery::Outcome::kRelayed;
                                           });
  bool failures_told = true;
  if (!outcomes.failed.empty() || wants_delay_notice || may_want_success) {
    const auto loaded = co_await store_.Load(id, message.where);
    if (loaded.ok()) {
      if (may_want_success)
        co_await Tell(message, *loaded, notice::Kind::kSuccess, outcomes.succeeded, local);
      if (!outcomes.failed.empty())
        failures_told =
            co_await Tell(message, *loaded, notice::Kind::kFailure, outcomes.failed, local);
      if (wants_delay_notice &&
          co_await Tell(message, *loaded, notice::Kind::kDelay, outcomes.deferred, local))
        message.delay_notified = true;
      for (const delivery::Result& result : outcomes.failed) {
        if (!failures_told) break;
        log::Event(log::Severity::kNotice, log::kMessageBounced)
            .Id(QueueId(id))
            .Str("to", loaded->record.recipients[result.index].address)
            .Str("status", result.status)
            .Str("reason", result.diagnostic);
      }
    } else {
      log::Event(log::Severity::kError, log::kQueueWriteFailed)
          .Id(QueueId(id))
          .Error(loaded.status());
      failures_told = false;
    }
  }
  if (failures_told) MarkDone(message, outcomes.failed);
  if (message.left > 0 && !message.removed) {
    AttemptRecord attempt;
    attempt.attempts = message.attempts;
    attempt.at_us = WallUs();
    attempt.delay_notified = message.delay_notified;
    if (next_due_us > 0) message.next_attempt_us = WallUs() + (next_due_us - NowUs());
    attempt.next_attempt_us = message.next_attempt_us;
    for (const auto* results : {&outcomes.succeeded, &outcomes.failed, &outcomes.deferred}) {
      for (const delivery::Result& result : *results) {
        attempt.recipients.push_back({.index = result.index,
                                      .done = message.done.Has(result.index),
                                      .status = result.status,
                                      .diagnostic = result.diagnostic,
                                      .remote_words = result.remote_words,
                                      .remote = result.remote});
      }
    }
    store_.Append(RecordType::kAttempt, id, attempt);
  }
  --message.busy;
  RemoveIfDone(id);
}

void Queue::RemoveIfDone(uint64_t id) {
  const auto found = messages_.find(id);
  if (found == messages_.end()) return;
  QueuedMessage& message = found->second;
  if ((message.left > 0 && !message.removed) || message.busy > 0) return;
  if (!message.removed) {
    store_.Append(RecordType::kRemove, id, EmptyRecord{});
    log::Event(log::Severity::kInfo, log::kMessageRemoved)
        .Id(QueueId(id))
        .Ms("age", absl::Microseconds(WallUs() - message.arrival_us));
  }
  scheduler_.Remove(id);
  store_.Forget(message.where);
  if (message.held) --held_;
  if (message.cached != nullptr)
    cached_octets_ -= std::min(cached_octets_, CacheCost(*message.cached));
  if (message.in_file) work_.Spawn(RemoveContent(id));
  messages_.erase(found);
}

io::Task<void> Queue::RemoveContent(uint64_t id) {
  // The removal must be durable before the content goes, or a crash would leave a message without
  // one.
  IgnoreStatus(co_await store_.Flush(), "an orphan is removed at the next start");
  IgnoreStatus(co_await disk_.Remove(ContentName(id)), "an orphan is removed at the next start");
}

bool Queue::Hold(uint64_t id, std::string reason) {
  QueuedMessage* message = Find(id);
  if (message == nullptr || message->held) return false;
  message->held = true;
  ++held_;
  if (reason.empty()) reason = "held by the operator";
  reason.resize(std::min<size_t>(reason.size(), protocol::kMaxReason));
  message->hold_reason = std::make_unique<std::string>(reason);
  scheduler_.Remove(id);
  store_.Append(RecordType::kHold, id, HoldRecord{.reason = std::move(reason)});
  return true;
}

bool Queue::Release(uint64_t id) {
  QueuedMessage* message = Find(id);
  if (message == nullptr || !message->held) return false;
  message->held = false;
  --held_;
  message->hold_reason.reset();
  store_.Append(RecordType::kRelease, id, EmptyRecord{});
  ++message->busy;
  work_.Spawn(Reschedule(id));
  return true;
}

io::Task<void> Queue::Reschedule(uint64_t id) {
  const auto loaded = co_await store_.Load(id, messages_.at(id).where);
  QueuedMessage& message = messages_.at(id);
  --message.busy;
  if (loaded.ok() && !message.removed && !message.held) Schedule(message, loaded->record, 0);
  RemoveIfDone(id);
}

bool Queue::Delete(uint64_t id, std::string_view why) {
  QueuedMessage* message = Find(id);
  if (message == nullptr) return false;
  log::Event(log::Severity::kNotice, log::kMessageDeleted).Id(QueueId(id)).Str("reason", why);
  store_.Append(RecordType::kRemove, id, EmptyRecord{});
  message->removed = true;
  scheduler_.Remove(id);
  RemoveIfDone(id);
  return true;
}

io::Task<absl::Status> Queue::Sweep() {
  for (;;) {
    CO_RETURN_IF_ERROR(co_await io::Sleep(loop_.After(kSweepInterval)));
    co_await ExpireOld();
    if (const uint64_t segment = store_.SegmentToEmpty(); segment != 0)
      co_await CopyForward(segment);
  }
}

// Those that wait behind a dead destination have no attempt that would notice their age. Ids sort
// by age, so only the old ones are looked at.
io::Task<void> Queue::ExpireOld() {
  const absl::Duration shortest =
      std::min(settings_->queue.lifetime, settings_->queue.bounce_lifetime);
  const int64_t limit = WallUs() - absl::ToInt64Microseconds(shortest);
  std::vector<uint64_t> old;
  for (const auto& [id, message] : messages_) {
    if (QueueId(id).unix_ms() * 1000 > limit || old.size() >= kMaxExpiredASweep) break;
    if (!message.held && !message.removed && message.busy == 0 && Expired(message) &&
        !scheduler_.HasJob(id))
      old.push_back(id);
  }
  for (const uint64_t id : old) {
    QueuedMessage* message = Find(id);
    if (message == nullptr || message->busy > 0) continue;
    scheduler_.Remove(id);
    Outcomes outcomes;
    for (uint32_t index = 0; index < message->recipients; ++index) {
      if (message->done.Has(index)) continue;
      delivery::Result& result = outcomes.failed.emplace_back();
      result.index = index;
      result.outcome = delivery::Outcome::kFailed;
      result.status = "4.4.7";
      result.diagnostic = "expired: the destination could not be reached in all that time";
    }
    log::Event(log::Severity::kNotice, log::kMessageExpired)
        .Id(QueueId(id))
        .Ms("age", absl::Microseconds(WallUs() - message->arrival_us));
    ++message->busy;
    co_await Record(id, std::move(outcomes), message->attempts, 0, false);
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
    auto loaded = co_await store_.Load(id, message->where);
    if (loaded.ok()) {
      MessageRecord& record = loaded->record;
      for (uint32_t index = 0; index < message->recipients; ++index)
        record.recipients[index].done = message->done.Has(index);
      record.attempts = message->attempts;
      record.next_attempt_us = message->next_attempt_us;
      record.delay_notified = message->delay_notified;
      record.hold_reason =
          message->held && message->hold_reason ? *message->hold_reason : std::string();
      std::string body;
      if (ipc::Encode(record, body)) {
        const auto where = co_await store_.Commit(id, std::move(body), std::move(loaded->content),
                                                  Store::Why::kCopy);
        if (where.ok()) {
          store_.Forget(std::exchange(message->where, *where));
          message->last_attempt = {};
        }
      }
    }
    --message->busy;
    RemoveIfDone(id);
    if (!loaded.ok()) {
      // What cannot be read cannot be delivered either: the operator must see it.
      log::Event(log::Severity::kError, log::kQueueWriteFailed)
          .Id(QueueId(id))
          .Error(loaded.status());
      Hold(id, "the message cannot be read back from the queue's log");
      co_return;
    }
  }
}

io::Task<void> Queue::Join() { co_await work_.Join(); }

}  // namespace postern::qmgr
