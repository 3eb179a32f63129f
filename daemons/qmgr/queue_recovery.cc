// The start: what the log says is alive comes back, with the age it has.
#include <algorithm>
#include <utility>

#include "common/base/queue_id.h"
#include "common/io/clock.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

io::Task<absl::Status> Queue::Recover() {
  const io::Deadline began = loop_.Now();
  const auto report = co_await store_.Open(
      [this](RecoveredMessage&& recovered) { TakeRecovered(std::move(recovered)); });
  CO_RETURN_IF_ERROR(report.status());
  for (const std::string& remark : report->remarks) {
    log::Event(log::Severity::kWarning, log::kQueueRecovered).Str("reason", remark);
  }
  // Done with at the end of a life that had no time to say so.
  std::vector<uint64_t> finished;
  for (const auto& [id, message] : messages_) {
    if (message.left == 0) finished.push_back(id);
  }
  for (const uint64_t id : finished) RemoveIfDone(id);
  co_await CompareContents(report->unreadable == 0 ? Orphans::kRemove : Orphans::kKeep);
  log::Event(log::Severity::kInfo, log::kQueueOpened)
      .Int("messages", messages_.size())
      .Int("segments", report->segments)
      .Int("records", report->records)
      .Ms("took", absl::Nanoseconds(io::MonotonicNanoseconds() - began.nanoseconds()));
  co_return absl::OkStatus();
}

void Queue::TakeRecovered(RecoveredMessage&& recovered) {
  const MessageRecord& record = recovered.record;
  QueuedMessage& message = messages_[recovered.queue_id];
  message.id = recovered.queue_id;
  message.where = recovered.where;
  message.last_attempt = recovered.last_attempt;
  message.arrival_us = record.arrival_us;
  // How long the process was away only the wall clock knows. One that stands before the arrival
  // makes the message new, not younger than that; one that is far ahead makes it old, and the
  // scheduler gives it the time for one more attempt.
  const int64_t wall = WallUs();
  message.born_us = NowUs() - std::max<int64_t>(0, wall - record.arrival_us);
  message.octets = record.content_octets;
  message.recipients = static_cast<uint32_t>(record.recipients.size());
  message.attempts = record.attempts;
  message.null_sender = record.sender.empty();
  message.in_file = record.in_file;
  message.delay_notified = record.delay_notified;
  message.wants_success = WantsSuccess(record);
  message.done.Resize(message.recipients);
  for (uint32_t i = 0; i < message.recipients; ++i) {
    record.recipients[i].done ? message.done.Add(i) : void(++message.left);
  }
  if (!record.hold_reason.empty())
    message.hold_reason = std::make_unique<std::string>(record.hold_reason);
  if (message.left == 0) return;
  // The wall clock may have jumped meanwhile: never further away than the longest wait.
  const int64_t longest = absl::ToInt64Microseconds(settings_->queue.retry_longest);
  const int64_t wait = std::clamp<int64_t>(record.next_attempt_us - wall, 0, longest);
  Schedule(message, record, wait > 0 ? NowUs() + wait : 0);
}

// What is wrong with the files of large messages.
io::Task<void> Queue::CompareContents(Orphans orphans) {
  std::map<uint64_t, uint64_t> expected;
  for (const auto& [id, message] : messages_) {
    if (message.in_file) expected[id] = message.octets;
  }
  const auto report = co_await CheckContents(disk_, expected, orphans);
  if (!report.ok()) {
    log::Event(log::Severity::kError, log::kQueueForeign)
        .Str("file", "content")
        .Error(report.status());
    co_return;
  }
  for (const ContentsReport::LeftAlone& one : report->left_alone) {
    log::Event(log::Severity::kWarning, log::kQueueForeign)
        .Str("file", one.file)
        .Str("reason", one.reason);
  }
  for (const auto& [id, fault] : report->broken) Hold(id, "its content file: " + fault, {});
}

}  // namespace postern::qmgr
