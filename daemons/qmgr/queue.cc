#include "daemons/qmgr/queue.h"

#include <algorithm>
#include <utility>

#include "common/base/queue_id.h"
#include "daemons/qmgr/routing.h"

namespace postern::qmgr {
namespace {

size_t CacheCost(const LoadedMessage& loaded) {
  return loaded.content.size() + loaded.record.prepend.size() + 512;
}

// By the loop's clock, so that a simulated run is repeated exactly.
SchedulerOptions FirstOptions(const io::Loop& loop, const config::Settings& settings) {
  SchedulerOptions options = OptionsOf(settings);
  options.seed = static_cast<uint64_t>(absl::ToUnixNanos(loop.WallTime()));
  return options;
}

}  // namespace

SchedulerOptions OptionsOf(const config::Settings& settings) {
  SchedulerOptions options;
  options.retry_first_us = absl::ToInt64Microseconds(settings.queue.retry_first);
  options.retry_longest_us = absl::ToInt64Microseconds(settings.queue.retry_longest);
  // An unreachable destination is not left alone for longer than a message of its would be.
  options.pace_longest_us = std::min(options.pace_longest_us, options.retry_longest_us);
  options.lifetime_us = absl::ToInt64Microseconds(settings.queue.lifetime);
  options.bounce_lifetime_us = absl::ToInt64Microseconds(settings.queue.bounce_lifetime);
  options.delay_notice_us = absl::ToInt64Microseconds(settings.queue.delay_notice);
  options.max_active = static_cast<uint32_t>(std::max(1, settings.queue.max_active));
  options.max_window =
      static_cast<uint32_t>(std::max(1, settings.outbound.max_connections_per_destination));
  options.initial_window = std::min<uint32_t>(5, options.max_window);
  return options;
}

Queue::Queue(io::Loop& loop, Disk& disk, const config::Settings& settings)
    : loop_(loop),
      disk_(disk),
      settings_(&settings),
      routes_(settings.outbound),
      store_(disk, {.segment_octets = settings.queue.segment_octets,
                    .reserve_octets = settings.queue.reserve_octets}),
      scheduler_(FirstOptions(loop, settings)) {
  store_.OnAttemptWritten([this](uint64_t id, Location where) {
    if (QueuedMessage* message = Find(id); message != nullptr) message->last_attempt = where;
  });
}

void Queue::OnSettings(const config::Settings& settings) {
  settings_ = &settings;
  if (settings.outbound.routes != routes_.routes ||
      settings.outbound.smarthost != routes_.smarthost) {
    routes_ = settings.outbound;
    ++routing_;
  }
  scheduler_.SetOptions(OptionsOf(settings));
  changed_.Wake();
}

QueuedMessage* Queue::Find(uint64_t id) {
  const auto found = messages_.find(id);
  return found == messages_.end() || found->second.removed ? nullptr : &found->second;
}

void Queue::Schedule(QueuedMessage& message, const MessageRecord& record, int64_t due_us) {
  const std::string& fair = record.sender.empty() ? record.submitter : record.sender;
  scheduler_.Add(message.id, fair, GroupByHop(record.recipients, message.done, *settings_),
                 message.attempts, due_us, NowUs(),
                 {.age_us = NowUs() - message.born_us,
                  .null_sender = message.null_sender,
                  .delay_told = message.delay_notified});
  message.routing = routing_;
  if (message.held()) scheduler_.Hold(message.id);
  changed_.Wake();
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
  const MessageRecord& taken = loaded->record;
  message.removed = false;
  message.where = *where;
  message.arrival_us = taken.arrival_us;
  message.born_us = NowUs();
  message.octets = taken.content_octets;
  message.recipients = message.left = static_cast<uint32_t>(taken.recipients.size());
  message.done.Resize(message.recipients);
  message.null_sender = taken.sender.empty();
  message.in_file = taken.in_file;
  message.wants_success = WantsSuccess(taken);
  log::Event(log::Severity::kInfo, log::kMessageQueued)
      .Id(QueueId(id))
      .Str("from", taken.sender)
      .Int("size", taken.content_octets)
      .Int("recipients", taken.recipients.size())
      .Str("client", taken.submitter);
  if (!taken.hold_reason.empty()) {
    message.hold_reason = std::make_unique<std::string>(taken.hold_reason);
    LogAct(log::Severity::kNotice, log::kMessageHeld, id, taken.hold_reason, {.by = "policy"});
  } else if (keep) {
    cached_octets_ += CacheCost(*loaded);
    message.cached = loaded;
  }
  Schedule(message, taken, 0);
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

void Queue::Unlock(QueuedMessage& message) {
  --message.busy;
  RemoveIfDone(message.id);
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
        .Ms("age", absl::Microseconds(NowUs() - message.born_us));
  }
  scheduler_.Remove(id);
  store_.Forget(message.where);
  if (message.cached != nullptr)
    cached_octets_ -= std::min(cached_octets_, CacheCost(*message.cached));
  if (message.in_file) work_.Spawn(RemoveContent(id));
  messages_.erase(found);
}

io::Task<void> Queue::RemoveContent(uint64_t id) {
  // The removal must be durable before the content goes, or a crash would leave a message without
  // one.
  if (!(co_await store_.Flush()).ok()) co_return;  // an orphan is removed at the next start
  if (Knows(id)) co_return;                        // the id was given again
  IgnoreStatus(co_await disk_.Remove(ContentName(id)), "an orphan is removed at the next start");
}

io::Task<void> Queue::Join() { co_await work_.Join(); }

}  // namespace postern::qmgr
