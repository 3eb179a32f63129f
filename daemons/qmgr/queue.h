// daemons/qmgr/queue.h — the queue: store, scheduler and messages in one place, and the changes to
// them.
//
//   queue.cc           messages that come, and what is read back of them
//   queue_recovery.cc  the start
//   queue_results.cc   what became of jobs
//   queue_telling.cc   notices: failures, delays, the end of a message's time
//   queue_operator.cc  hold, release, requeue, delete, flush
//   queue_upkeep.cc    segments that are nearly dead are emptied
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "common/io/event.h"
#include "common/io/scope.h"
#include "common/ipc/protocol/delivery.h"
#include "common/log/log.h"
#include "daemons/qmgr/contents.h"
#include "daemons/qmgr/message.h"
#include "daemons/qmgr/notice_wish.h"
#include "daemons/qmgr/scheduler/scheduler.h"
#include "daemons/qmgr/store.h"

namespace postern::qmgr {

// Who wants a change, for the log.
struct Actor {
  std::string_view by = "qmgr";  // "operator", "policy", "qmgr"
  int64_t uid = -1;              // of the operator, as the kernel says; negative: unknown
};

class Queue {
 public:
  // Fresh messages kept in memory until they are handed out.
  static constexpr size_t kMaxCachedOctets = 16u << 20;
  // Messages that are in memory at once because a notice about them is under way.
  static constexpr size_t kMaxTelling = 32;

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
  // A moment of the monotonic clock as the wall clock would show it now; 0 stays 0.
  int64_t ToWallUs(int64_t monotonic_us) const {
    return monotonic_us == 0 ? 0 : WallUs() + (monotonic_us - NowUs());
  }

  // Reads the log; what is odd goes to the log.
  io::Task<absl::Status> Recover();

  // Commits a new message; OK means durable and under way.
  // Errors: kAlreadyExists for an id that is in use; kInvalidArgument for an envelope out of
  //         bounds; those of Store::Commit.
  io::Task<absl::Status> Accept(uint64_t id, MessageRecord record, std::string content);
  // Also while it is being committed.
  bool Knows(uint64_t id) const { return messages_.contains(id); }

  // The message from memory or the log.
  io::Task<absl::StatusOr<std::shared_ptr<const LoadedMessage>>> Load(QueuedMessage& message);
  // nullptr: unknown, not committed yet, or deleted.
  QueuedMessage* Find(uint64_t id);
  // Whoever works on a message over an await keeps it: ++message.busy, and Unlock at the end, which
  // removes it if that is due.
  void Unlock(QueuedMessage& message);
  // Up to `octets` of headers and content from the front.
  io::Task<absl::StatusOr<std::string>> ReadHead(uint64_t id, const LoadedMessage& loaded,
                                                 size_t octets);

  // The results of a job; missing ones count as deferred. Recipients that failed are done when
  // their notice is in the queue.
  void Finish(const Job& job, std::vector<protocol::delivery::Result> results, Verdict verdict,
              const std::string& reason);
  // Which of the configuration's routings are in force: grown by a reload that changes any.
  uint32_t routing() const { return routing_; }
  // The job's recipients have other next hops than when it was grouped: all that is left of the
  // message is grouped anew, at once or when its other jobs have ended.
  void Regroup(const Job& job, const MessageRecord& record);
  // The worker died with it; or was gone before it had it.
  void Lost(const Job& job);
  void NotBegun(const Job& job);

  // Has a notice sent; true: it is in the queue, or nobody wants it. What was sent is taken out of
  // the wish, so that another try does not repeat it.
  using Notify =
      std::function<io::Task<bool>(uint64_t id, const LoadedMessage& loaded, NoticeWish& wish)>;
  void SetNotify(Notify notify) { notify_ = std::move(notify); }
  // Sees to messages that became late or too old. Call when the scheduler's moment has come.
  void TakeAged();

  // Each logs what it changed. The change is appended: Store::Flush makes it durable. False: there
  // is nothing to change.
  bool Hold(uint64_t id, std::string reason, const Actor& actor);
  bool Release(uint64_t id, std::string_view reason, const Actor& actor);
  bool Requeue(uint64_t id, std::string_view reason, const Actor& actor);
  bool Delete(uint64_t id, std::string_view reason, const Actor& actor);
  // Everything, or what goes to one destination, is due now. Returns how many messages.
  uint64_t Flush(const std::string& destination, const Actor& actor);

  // Empties segments that are nearly dead, until stopped.
  io::Task<absl::Status> Upkeep();
  // Waits for the tasks that record results.
  io::Task<void> Join();
  void RequestStop() { work_.RequestStop(); }

 private:
  using Results = std::vector<protocol::delivery::Result>;
  struct Outcomes {
    Results failed;
    Results deferred;
    Results succeeded;
  };
  // Something to be told about a message, which is busy until then.
  struct Telling {
    enum class What : uint8_t { kResults, kLate, kExpired };
    What what = What::kResults;
    Transport transport = Transport::kRemote;
    uint64_t id = 0;
    Results failed;
    Results succeeded;
  };

  void Schedule(QueuedMessage& message, const MessageRecord& record, int64_t due_us);
  void LogAct(log::Severity severity, log::EventName name, uint64_t id, std::string_view reason,
              const Actor& actor);

  void TakeRecovered(RecoveredMessage&& recovered);
  io::Task<void> CompareContents(Orphans orphans);

  Outcomes Sort(const QueuedMessage& message, const Job& job, Results results,
                const std::string& reason);
  static bool WantsNotice(const QueuedMessage& message, const Outcomes& outcomes,
                          Transport transport);
  static void LogChange(const Job& job, Scheduler::Change change, const std::string& reason);
  void MarkDone(QueuedMessage& message, const Results& results);
  void AppendAttempt(const QueuedMessage& message, std::vector<const Results*> results);
  void RemoveIfDone(uint64_t id);
  io::Task<void> RemoveContent(uint64_t id);

  void TellLater(QueuedMessage& message, Telling telling);
  void StartTellings();
  io::Task<void> RunTelling(Telling telling);
  io::Task<void> TellResults(QueuedMessage& message, Telling& telling);
  io::Task<void> TellLate(QueuedMessage& message);
  io::Task<void> TellExpired(QueuedMessage& message);
  io::Task<void> TellFailed(QueuedMessage& message, const LoadedMessage& loaded,
                            const Results& failed);
  io::Task<bool> Send(QueuedMessage& message, const LoadedMessage& loaded, NoticeWish wish);
  io::Task<Results> LastWords(const QueuedMessage& message, std::vector<uint32_t> recipients,
                              bool expired);
  void Unreadable(QueuedMessage& message, const absl::Status& why);
  io::Task<void> Reschedule(uint64_t id);

  io::Task<void> CopyForward(uint64_t segment);
  io::Task<absl::Status> CopyMessage(QueuedMessage& message);

  io::Loop& loop_;
  Disk& disk_;
  const config::Settings* settings_;
  config::Outbound routes_;  // as they were when `routing_` last grew
  uint32_t routing_ = 0;
  Store store_;
  Scheduler scheduler_;
  std::map<uint64_t, QueuedMessage> messages_;
  size_t cached_octets_ = 0;
  Notify notify_;
  std::deque<Telling> tellings_;  // those that wait for one of kMaxTelling to end
  size_t telling_ = 0;
  io::TaskScope work_;
  io::Event changed_;
};

SchedulerOptions OptionsOf(const config::Settings& settings);

}  // namespace postern::qmgr
