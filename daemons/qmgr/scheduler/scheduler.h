// daemons/qmgr/scheduler/scheduler.h — which message goes where, and when. Pure: no I/O and no
// clock.
//
// A unit is one message for recipients of one next hop (at most kMaxRecipientsPerUnit). Senders
// take turns, so that a bulk job delays nobody; within a sender its destinations take turns. A
// destination takes as many units at once as its window says, which grows with success and shrinks
// with failure; one that cannot be reached is left alone for a while and then probed with one unit.
// Nothing here costs more than O(log n) in the number of queued messages.
//
// Moments are microseconds of a monotonic clock: a wall clock that jumps moves nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/hash.h"
#include "common/io/list.h"

namespace postern::qmgr {

// Which kind of worker takes the unit; each has its own line.
enum class Route : uint8_t { kRemote, kLocal };
inline constexpr size_t kRoutes = 2;

struct SchedulerOptions {
  int64_t retry_first_us = 300'000'000;
  int64_t retry_longest_us = 14'400'000'000;
  uint32_t max_window = 20;  // units at once at one destination
  uint32_t initial_window = 5;
  double jitter = 0.2;  // of every wait, up and down
  uint64_t seed = 1;
};

struct UnitSpec {
  Route route = Route::kRemote;
  std::string destination;           // domain, "host:port", user: the key of the window
  std::vector<uint32_t> recipients;  // indices in the message's envelope
};

struct Job {
  uint64_t job_id = 0;
  uint64_t message_id = 0;
  Route route = Route::kRemote;
  std::string destination;
  std::vector<uint32_t> recipients;
  uint32_t attempts = 0;  // before this one
};

enum class Verdict : uint8_t { kHealthy, kBusy, kUnreachable };

struct DestinationView {
  std::string name;
  uint32_t window = 0;
  uint32_t in_flight = 0;
  uint64_t waiting = 0;   // units that are due
  uint32_t failures = 0;  // in a row
  int64_t blocked_until_us = 0;
  std::string last_error;
};

class Scheduler {
 public:
  static constexpr size_t kMaxRecipientsPerUnit = 100;
  static constexpr size_t kMaxErrorText = 256;
  // A message whose job was lost so often is not given out again (Poisoned).
  static constexpr uint32_t kMaxLostJobs = 3;
  // Of four units of one sender for one destination, one may be an old one even if new ones wait.
  static constexpr uint32_t kRetryShare = 4;

  explicit Scheduler(const SchedulerOptions& options) : options_(options), random_(options.seed) {}
  ~Scheduler();
  void SetOptions(const SchedulerOptions& options) { options_ = options; }

  // `due_us` 0: now. `attempts`: how often it was tried (after a restart).
  void Add(uint64_t message_id, std::string_view sender, std::vector<UnitSpec> units,
           uint32_t attempts, int64_t due_us, int64_t now_us);
  // Forgets the message; jobs under way end as unknown.
  void Remove(uint64_t message_id);
  // Due at once: one message, all, or those for one destination (which is also unblocked). Returns
  // how many messages.
  uint64_t Flush(uint64_t message_id, int64_t now_us);
  uint64_t FlushDestination(std::string_view destination, int64_t now_us);
  uint64_t FlushAll(int64_t now_us);

  // The next unit for a worker of that kind that has room; nullopt: nothing is due or may go.
  std::optional<Job> Next(Route route, int64_t now_us);

  struct Done {
    bool known = false;       // false: the message was removed meanwhile
    int64_t next_due_us = 0;  // of the recipients still waiting; 0: none
    uint32_t attempts = 0;
  };
  // `deferred`: recipients that are to be tried again.
  Done JobDone(uint64_t job_id, Verdict verdict, std::string_view error,
               std::vector<uint32_t> deferred, int64_t now_us);
  // The worker died with it: due again at once. True: the message was lost kMaxLostJobs times.
  bool JobLost(uint64_t job_id, int64_t now_us);

  // When something becomes due that is not now; nullopt: never.
  std::optional<int64_t> NextWakeup() const;

  // Whether a unit of the message is with a worker.
  bool HasJob(uint64_t message_id) const;

  size_t messages() const { return messages_.size(); }
  size_t in_flight() const { return jobs_.size(); }
  // Units waiting for their time; the others are in line or in flight.
  size_t waiting_units() const { return timers_.size(); }
  std::vector<DestinationView> Destinations(size_t limit) const;

 private:
  struct Message;
  struct Destination;
  struct Sender;
  struct Line;
  struct Unit {
    Message* message = nullptr;
    Destination* destination = nullptr;
    std::vector<uint32_t> recipients;
    uint32_t attempts = 0;
    int64_t due_us = 0;
    enum class State : uint8_t { kWaiting, kInLine, kInFlight } state = State::kWaiting;
    std::set<std::pair<int64_t, Unit*>>::iterator timer;
    uint64_t job_id = 0;
  };
  struct Message {
    uint64_t id = 0;
    Sender* sender = nullptr;
    std::vector<std::unique_ptr<Unit>> units;
    uint32_t lost_jobs = 0;
  };
  // One sender's units for one destination, in order.
  struct Line : io::ListNode {
    Sender* sender = nullptr;
    Destination* destination = nullptr;
    std::deque<Unit*> fresh;
    std::deque<Unit*> old;
    uint32_t turn = 0;
    bool empty() const { return fresh.empty() && old.empty(); }
  };
  struct Destination {
    std::string name;
    Route route = Route::kRemote;
    double window = 1;
    uint32_t in_flight = 0;
    uint32_t failures = 0;
    int64_t blocked_until_us = 0;
    std::string last_error;
    uint64_t waiting = 0;
    uint64_t units = 0;   // in any state
    io::ListNode parked;  // lines that wait for room here
    std::unordered_map<Sender*, std::unique_ptr<Line>> lines;
  };
  struct Sender {  // has a turn in its route's ring while it has lines that may go
    std::string key;
    uint64_t messages = 0;
    io::ListNode lines[kRoutes];
    struct Turn : io::ListNode {
      Sender* sender = nullptr;
    } turns[kRoutes];
  };

  int64_t Backoff(uint32_t attempts);
  bool HasRoom(const Destination& destination, int64_t now_us) const;
  void PutInLine(Unit& unit);
  void Wait(Unit& unit, int64_t due_us);
  void Activate(Line& line);
  void Unpark(Destination& destination, bool all);
  void WakeDue(int64_t now_us);
  void Detach(Unit& unit);
  void RemoveUnit(Message& message, Unit* unit);
  Unit* TakeFrom(Line& line);
  Destination& DestinationFor(Route route, const std::string& name);
  Sender& SenderFor(std::string_view key);
  void Judge(Destination& destination, Verdict verdict, std::string_view error, int64_t now_us);
  void Block(Destination& destination, int64_t until_us);
  void Unblock(Destination& destination);

  SchedulerOptions options_;
  std::mt19937_64 random_;
  std::unordered_map<uint64_t, std::unique_ptr<Message>> messages_;
  StringMap<std::unique_ptr<Destination>> destinations_;
  StringMap<std::unique_ptr<Sender>> senders_;
  std::unordered_map<uint64_t, Unit*> jobs_;
  uint64_t next_job_ = 1;
  io::ListNode turns_[kRoutes];
  std::set<std::pair<int64_t, Unit*>> timers_;
  std::set<std::pair<int64_t, Destination*>> blocked_;
};

}  // namespace postern::qmgr
