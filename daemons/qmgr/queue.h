// daemons/qmgr/queue.h — the queue: store, scheduler and messages in one place, and the changes to
// them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "common/io/event.h"
#include "common/io/scope.h"
#include "common/ipc/protocol/admin.h"
#include "common/ipc/protocol/delivery.h"
#include "common/ipc/protocol/qmgr_bounced.h"
#include "daemons/qmgr/message.h"
#include "daemons/qmgr/scheduler/scheduler.h"
#include "daemons/qmgr/store.h"

namespace postern::qmgr {

// A notice that is to be sent before recipients count as done.
struct NoticeWish {
  protocol::notice::Kind kind = protocol::notice::Kind::kFailure;
  std::vector<protocol::notice::NoticeRecipient> recipients;
};

class Queue {
 public:
  // Fresh messages kept in memory until they are handed out.
  static constexpr size_t kMaxCachedOctets = 16u << 20;

  Queue(io::Loop& loop, Disk& disk, const config::Settings& settings);
  void OnSettings(const config::Settings& settings);

  Store& store() { return store_; }
  Disk& disk() { return disk_; }
  Scheduler& scheduler() { return scheduler_; }
  const std::map<uint64_t, QueuedMessage>& messages() const { return messages_; }
  const config::Settings& settings() const { return *settings_; }
  io::Loop& loop() { return loop_; }
  // Woken when something may have become due.
  io::Event& changed() { return changed_; }
  int64_t NowUs() const { return loop_.Now().nanoseconds() / 1000; }
  int64_t WallUs() const { return absl::ToUnixMicros(loop_.WallTime()); }

  // Reads the log; what is odd goes to the log.
  io::Task<absl::Status> Recover();

  // Commits a new message; OK means durable and under way.
  // Errors: kAlreadyExists for an id that is in use; those of Store::Commit.
  io::Task<absl::Status> Accept(uint64_t id, MessageRecord record, std::string content);
  bool Knows(uint64_t id) const { return messages_.contains(id); }

  // The message from memory or the log, its undone recipients among `indices`.
  io::Task<absl::StatusOr<std::shared_ptr<const LoadedMessage>>> Load(QueuedMessage& message);
  QueuedMessage* Find(uint64_t id);
  // Up to `octets` of headers and content from the front.
  io::Task<absl::StatusOr<std::string>> ReadHead(uint64_t id, const LoadedMessage& loaded,
                                                 size_t octets);
  static std::string ContentName(uint64_t id);

  // The results of a job; missing ones count as deferred. Sends notices through `notify` before the
  // recipients concerned are done. Runs as a task of `scope`.
  using Notify =
      std::function<io::Task<bool>(uint64_t id, const LoadedMessage& loaded, NoticeWish wish)>;
  void SetNotify(Notify notify) { notify_ = std::move(notify); }
  void Finish(const Job& job, std::vector<protocol::delivery::Result> results, Verdict verdict,
              const std::string& reason);
  // The worker died with it.
  void Lost(const Job& job);

  // The operator's doings. The change is appended; Store::Flush makes it durable.
  bool Hold(uint64_t id, std::string reason);
  bool Release(uint64_t id);
  bool Delete(uint64_t id, std::string_view why);

  // Looks after messages that are too old, and segments that are nearly dead, until stopped.
  io::Task<absl::Status> Sweep();
  // Waits for the tasks that record results.
  io::Task<void> Join();
  void RequestStop() { work_.RequestStop(); }

  uint64_t held() const { return held_; }

 private:
  struct Outcomes {
    std::vector<protocol::delivery::Result> failed;
    std::vector<protocol::delivery::Result> deferred;
    std::vector<protocol::delivery::Result> succeeded;  // done; some want a notice
  };
  void Schedule(QueuedMessage& message, const MessageRecord& record, int64_t due_us);
  io::Task<void> Record(uint64_t id, Outcomes outcomes, uint32_t attempts, int64_t next_due_us,
                        bool local);
  io::Task<bool> Tell(QueuedMessage& message, const LoadedMessage& loaded,
                      protocol::notice::Kind kind,
                      const std::vector<protocol::delivery::Result>& results, bool local);
  void MarkDone(QueuedMessage& message, const std::vector<protocol::delivery::Result>& results);
  void RemoveIfDone(uint64_t id);
  io::Task<void> RemoveContent(uint64_t id);
  io::Task<void> Reschedule(uint64_t id);
  bool Expired(const QueuedMessage& message) const;
  io::Task<void> ExpireOld();
  io::Task<void> CopyForward(uint64_t segment);
  io::Task<void> RemoveOrphans(const std::vector<std::string>& files);

  io::Loop& loop_;
  Disk& disk_;
  const config::Settings* settings_;
  Store store_;
  Scheduler scheduler_;
  std::map<uint64_t, QueuedMessage> messages_;
  size_t cached_octets_ = 0;
  uint64_t held_ = 0;
  Notify notify_;
  io::TaskScope work_;
  io::Event changed_;
};

SchedulerOptions OptionsOf(const config::Settings& settings);

}  // namespace postern::qmgr
