// daemons/qmgr/scheduler/scheduler.h — which message goes where, and when. Pure: no I/O, no clock,
// and the same calls with the same seed give the same answers.
//
// A unit is one message for recipients of one next hop (at most kMaxRecipientsPerUnit). Senders
// take turns, so that a bulk job delays nobody; within a sender its destinations take turns, and at
// one destination the senders that want it. A destination takes as many units at once as its window
// says, which grows with success and shrinks with failure; one that cannot be reached is left alone
// for a while and then probed with one unit; one that is busy is given its units at a pace. Of the
// workers' room, destinations in trouble get a half at most, so that there is always some for the
// others. README.md has the rules and formulae.
//
// Nothing here looks through the queue: adding, handing out and completing cost at most O(log n) in
// the number of queued messages, a flush O(1) for each unit concerned.
//
// Moments are microseconds of a monotonic clock; the wall clock has no part in it, so that one that
// jumps moves nothing. The age a message has when it is added is given as a duration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "common/base/hash.h"
#include "daemons/qmgr/scheduler/recipients.h"
#include "daemons/qmgr/scheduler/slab.h"
#include "daemons/qmgr/scheduler/timer_heap.h"

namespace postern::qmgr {

// Which kind of worker takes the unit; each has its own turns.
enum class Route : uint8_t { kRemote, kLocal };
inline constexpr size_t kRoutes = 2;

struct SchedulerOptions {
  int64_t retry_first_us = 300'000'000;
  int64_t retry_longest_us = 14'400'000'000;
  uint32_t max_window = 20;  // units at once at one destination
  uint32_t initial_window = 5;
  double jitter = 0.2;  // of every wait, up and down; never beyond retry_longest_us
  uint64_t seed = 1;
  uint32_t max_active = 0;  // units with workers at once; 0: no limit
  // From the message's arrival; 0: never. Null-sender mail lives at most as long as other mail, and
  // has no delay notice.
  int64_t lifetime_us = 0;
  int64_t bounce_lifetime_us = 0;
  int64_t delay_notice_us = 0;
  int64_t slow_us = 10'000'000;       // mean time of a unit above which a destination is slow
  int64_t pace_first_us = 1'000'000;  // between two units at a busy destination
  int64_t pace_longest_us = 60'000'000;
  uint32_t max_idle_destinations = 10'000;  // remembered without mail for them
};

struct UnitSpec {
  Route route = Route::kRemote;
  std::string destination;           // domain, "host:port", user: the key of the window
  std::vector<uint32_t> recipients;  // indices in the message's envelope
};

// What a message brings along when it is added.
struct Origin {
  int64_t age_us = 0;  // since its arrival; below 0 (a wall clock set back) counts as 0
  bool null_sender = false;
  bool delay_told = false;
};

struct Job {
  uint64_t job_id = 0;
  uint64_t message_id = 0;
  Route route = Route::kRemote;
  std::string destination;
  std::vector<uint32_t> recipients;
  uint32_t attempts = 0;  // before this one
};

// What a job taught about the destination. kBusy: it answered, and asked for less (421, 451 before
// MAIL). kUnreachable: nobody answered.
enum class Verdict : uint8_t { kHealthy, kBusy, kUnreachable };

struct DestinationView {
  std::string name;
  uint32_t window = 0;
  uint32_t in_flight = 0;
  uint64_t waiting = 0;   // units that are due
  uint32_t failures = 0;  // in a row
  int64_t blocked_until_us = 0;
  std::string last_error;
  Route route = Route::kRemote;
  uint64_t queued = 0;  // units in any state
  int64_t pace_us = 0;
  int64_t mean_us = 0;  // that a unit took of late
};

struct SchedulerCounts {
  size_t messages = 0;
  size_t held = 0;       // messages
  size_t deferred = 0;   // messages of which all that is left waits for its time
  size_t in_flight = 0;  // units with workers
  size_t due = 0;        // units in line
  size_t waiting = 0;    // units before their time
};

// Where one message stands.
struct MessageView {
  bool held = false;
  bool deferred = false;  // all that is left of it waits for its time
  bool with_worker = false;
  bool expired = false;
  int64_t next_due_us = 0;  // the earliest of what waits; 0: nothing does
};

struct AgedMessage {
  enum class What : uint8_t { kLate, kExpired };
  uint64_t message_id = 0;
  What what = What::kLate;
};

class Scheduler {
 public:
  static constexpr size_t kMaxRecipientsPerUnit = 100;
  static constexpr size_t kMaxErrorText = 256;  // octets
  // A message whose job was lost so often is held (JobLost).
  static constexpr uint32_t kMaxLostJobs = 3;
  // Of four units of one sender for one destination, one may be an old one even if new ones wait.
  static constexpr uint32_t kRetryShare = 4;
  // Units whose time has come that one call puts in line.
  static constexpr size_t kMaxWokenAtOnce = 4096;

  explicit Scheduler(const SchedulerOptions& options);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  // O(n) in the messages if a lifetime changed; the seed stays.
  void SetOptions(const SchedulerOptions& options);
  // How many units all workers of the route together take at once; 0, as at first: not known, and
  // then destinations in trouble may fill all of it. Tell it with every change.
  void SetCapacity(Route route, size_t units);

  // `due_us` 0: now. `attempts`: how often it was tried (after a restart). The id must be new.
  // A message that is over its age gets one more attempt's time (retry_first_us): a wall clock that
  // jumped while the process was down does not expire it unseen.
  void Add(uint64_t message_id, std::string_view sender, std::vector<UnitSpec> units,
           uint32_t attempts, int64_t due_us, int64_t now_us, Origin origin = {});
  // Forgets the message; jobs under way end as unknown, and until then count at their destination.
  void Remove(uint64_t message_id);
  // Nothing more of the message is given out, until it is released; what is with a worker goes on.
  // False: unknown, or is (not) held already.
  bool Hold(uint64_t message_id);
  // All of it is due at once. A held message grows older, but neither turns late nor expires; one
  // that is over its age when it is released has the time for one more attempt, as in Add.
  bool Release(uint64_t message_id, int64_t now_us);
  // Due at once: one message, all, or those for one destination (which is also unblocked). Returns
  // how many messages that concerns, also those that were due and waited behind a dead host.
  uint64_t Flush(uint64_t message_id, int64_t now_us);
  uint64_t FlushDestination(std::string_view destination, int64_t now_us);
  uint64_t FlushAll(int64_t now_us);

  // The next unit for a worker of that kind that has room; nullopt: nothing is due or may go.
  std::optional<Job> Next(Route route, int64_t now_us);

  // What a verdict changed at the destination: it no longer answers, or does again.
  enum class Change : uint8_t { kNone, kDown, kBack };
  struct Done {
    bool known = false;       // false: the message was removed meanwhile
    int64_t next_due_us = 0;  // of recipients that wait for their time; 0: none
    uint32_t attempts = 0;
    bool finished = false;  // no recipient is left: Remove it
    Change change = Change::kNone;
  };
  // `deferred`: recipients that are to be tried again.
  Done JobDone(uint64_t job_id, Verdict verdict, std::string_view error,
               std::vector<uint32_t> deferred, int64_t now_us);
  // The worker died with it: due again at once, and it counts for neither back-off nor window.
  // Messages that lost a job go one at a time, so that the one that kills its workers does not make
  // others look guilty. True: the message was lost kMaxLostJobs times and is now held.
  bool JobLost(uint64_t job_id, int64_t now_us);
  // The worker was gone before it had the job: due again at once, and nobody is to blame.
  void JobNotBegun(uint64_t job_id, int64_t now_us);

  // Messages that became late (once each) or too old, at most `limit`. Nothing more of an expired
  // one is given out; one with a job under way is reported after that. The caller removes it.
  std::vector<AgedMessage> TakeAged(int64_t now_us, size_t limit);
  // The recipients that no job has; TakeLeft also forgets them.
  std::vector<uint32_t> RecipientsLeft(uint64_t message_id) const;
  std::vector<uint32_t> TakeLeft(uint64_t message_id);

  // When something becomes due that is not now; nullopt: never. The first form puts what is due in
  // line before, so that its answer lies ahead of `now_us` (but for a backlog of more than
  // kMaxWokenAtOnce, or messages that TakeAged has not taken: then it is `now_us`); the second is
  // right after a Next that found nothing.
  std::optional<int64_t> NextWakeup(int64_t now_us);
  std::optional<int64_t> NextWakeup() const;

  // nullopt: unknown. Looks at 64 units of the message at most.
  std::optional<MessageView> Look(uint64_t message_id) const;

  SchedulerCounts Counts() const;  // O(1)
  // Those in trouble first, then the busiest. O(d log d) in the number of destinations.
  std::vector<DestinationView> Destinations(size_t limit) const;

  // What was allocated, without the small change; and inner steps taken so far, for tests of cost.
  size_t octets() const;
  uint64_t steps() const { return steps_ + timers_.steps() + ages_.steps() + blocked_.steps(); }

 private:
  // What is known of a destination decides how much of the workers' room it may use.
  enum class Standing : uint8_t { kTrouble, kUnknown, kProven };
  static constexpr size_t kLimited = 2;  // standings below kProven
  static constexpr int64_t kNever = INT64_MIN;

  enum class State : uint8_t { kHeld, kWaiting, kInLine, kSuspect, kInFlight };
  struct Unit {
    uint32_t message = kNone;
    uint32_t destination = kNone;
    Links siblings;          // units of the message
    Links links;             // destination's waiting units, line's units, suspects
    uint32_t place = kNone;  // kWaiting: in timers_; kInLine: the line
    uint16_t attempts = 0;
    State state = State::kHeld;
    bool old = false;        // kInLine: among the retried
    int64_t due_or_job = 0;  // kWaiting: when it is due; kInFlight: the job
    Recipients recipients;
  };
  struct Message {
    uint64_t id = 0;
    int64_t born_us = 0;  // of the monotonic clock, may lie before its beginning
    int64_t added_us = 0;
    int64_t grace_us = 0;  // does not expire before
    List units;
    uint32_t sender = kNone;
    uint32_t place = kNone;  // in ages_
    uint32_t in_flight = 0;
    uint32_t due = 0;  // units in line
    uint8_t lost_jobs = 0;
    bool held = false;
    bool deferred = false;  // counted in deferred_count_
    bool null_sender = false;
    bool late_told = false;
    bool expired = false;  // its time is over; told when no job is under way
    bool told = false;
  };
  // One sender's due units for one destination. Exists while it has some.
  struct Line {
    uint32_t sender = kNone;
    uint32_t destination = kNone;
    Links links;     // of the sender's active lines, or the destination's parked ones
    Links siblings;  // lines of the destination
    List fresh;
    List old;
    uint32_t turn = 0;
    bool active = false;
  };
  struct Destination {
    std::string name;
    std::string last_error;
    double window = 1;
    List waiting;  // units before their time
    List lines;    // all of them
    List parked;   // lines without room here
    Links links;   // of held_back_ or idle_
    uint64_t units = 0;
    uint64_t due = 0;
    uint32_t active = 0;  // lines among their senders' active ones
    uint32_t in_flight = 0;
    uint32_t failures = 0;
    uint32_t place = kNone;  // in blocked_
    int64_t blocked_until_us = 0;
    int64_t failed_us = kNever;  // just after the last failure or shrinking that counted
    int64_t pace_us = 0;
    int64_t mean_us = 0;
    Route route = Route::kRemote;
    Standing learned = Standing::kTrouble;
    Standing held_at = Standing::kProven;  // in which list of held_back_; kProven: in none
    bool idle = false;
  };
  struct Turn {
    Links links;
    List lines;
  };
  struct Sender {
    std::string key;
    uint32_t messages = 0;
    Turn turns[kRoutes];
  };
  struct Running {
    uint32_t unit = kNone;  // kNone: its message was removed
    uint32_t destination = kNone;
    int64_t began_us = 0;
    Standing standing = Standing::kProven;
    bool suspect = false;
  };

  // scheduler.cc: units, lines and turns
  uint32_t DestinationFor(Route route, std::string_view name, bool fresh);
  uint32_t SenderFor(std::string_view key);
  void Wait(uint32_t unit, int64_t due_us);
  void PutInLine(uint32_t unit);
  void JoinLine(uint32_t unit);
  uint32_t LineFor(uint32_t sender, uint32_t destination);
  void TakeOutOfLine(uint32_t unit);
  void Activate(uint32_t line);
  void Deactivate(uint32_t line);
  void Park(uint32_t line);
  void Detach(uint32_t unit);
  void FreeUnit(uint32_t unit);
  void Hurry(uint32_t unit);
  size_t WakeDue();
  uint32_t NextInTurn(Route route);
  uint32_t NextSuspect(Route route);
  static uint32_t PickFrom(Line& line);
  Job Start(uint32_t unit, Route route);
  void TakeTurn(uint32_t unit, size_t route);
  bool WakeHeldBack(Route route);

  // destinations.cc: windows and what is known
  static std::string KeyOf(Route route, std::string_view name);
  uint32_t Room(const Destination& destination) const;
  uint32_t WindowOf(const Destination& destination) const;
  bool Allowed(Route route, Standing standing) const;
  Standing StandingOf(const Destination& destination) const;
  void HoldBack(uint32_t destination, Standing standing);
  void LetGo(uint32_t destination);
  void Refill(uint32_t destination);
  Change Judge(uint32_t destination, const Running& job, Verdict verdict, std::string_view error);
  void Block(uint32_t destination, int64_t until_us);
  void Unblock(uint32_t destination);
  int64_t Backoff(uint32_t attempts);
  void MakeIdle(uint32_t destination);

  // outcomes.cc: jobs that end, ages, holds
  void End(const Running& job);
  uint32_t TakeBack(uint64_t job_id, int64_t now_us);
  void GoAgain(uint32_t unit);
  int64_t EarliestDue(const Message& message) const;
  int64_t ExpiresAt(const Message& message) const;
  void GiveGrace(Message& message);
  void SetAge(uint32_t message);
  void AddMessagesDue(uint32_t destination, absl::flat_hash_set<uint32_t>& to) const;
  void StopUnits(uint32_t message);
  void Tick(int64_t now_us);
  void Recount(uint32_t message);

  // Where the lists and heaps find their links in each kind of object.
  auto UnitLinks() {
    return [this](uint32_t slot) -> Links& { return units_[slot].links; };
  }
  auto SiblingLinks() {
    return [this](uint32_t slot) -> Links& { return units_[slot].siblings; };
  }
  auto LineLinks() {
    return [this](uint32_t slot) -> Links& { return lines_[slot].links; };
  }
  auto LineSiblings() {
    return [this](uint32_t slot) -> Links& { return lines_[slot].siblings; };
  }
  auto DestinationLinks() {
    return [this](uint32_t slot) -> Links& { return destinations_[slot].links; };
  }
  auto TurnLinks(size_t route) {
    return [this, route](uint32_t slot) -> Links& { return senders_[slot].turns[route].links; };
  }
  auto UnitPlace() {
    return [this](uint32_t slot) -> uint32_t& { return units_[slot].place; };
  }
  auto MessagePlace() {
    return [this](uint32_t slot) -> uint32_t& { return messages_[slot].place; };
  }
  auto DestinationPlace() {
    return [this](uint32_t slot) -> uint32_t& { return destinations_[slot].place; };
  }

  SchedulerOptions options_;
  uint64_t random_;
  int64_t now_us_ = 0;  // never goes back
  uint64_t next_job_ = 1;
  uint64_t steps_ = 0;

  Slab<Message> messages_;
  Slab<Unit> units_;
  Slab<Line> lines_;
  Slab<Destination> destinations_;
  Slab<Sender> senders_;
  absl::flat_hash_map<uint64_t, uint32_t> ids_;
  absl::flat_hash_map<uint64_t, uint32_t> line_of_;  // destination << 32 | sender
  absl::flat_hash_map<uint64_t, Running> jobs_;
  StringMap<uint32_t> destination_of_;  // the route's digit, then the name
  StringMap<uint32_t> sender_of_;

  TimerHeap timers_;   // units before their time
  TimerHeap ages_;     // messages, by their next notice or end
  TimerHeap blocked_;  // destinations
  List idle_;          // destinations without mail, the longest idle first
  size_t idle_count_ = 0;
  size_t due_count_ = 0;
  size_t held_count_ = 0;
  size_t deferred_count_ = 0;

  struct PerRoute {
    List turns;                // senders that have active lines
    List held_back[kLimited];  // destinations that wait for workers' room
    List suspects;             // units of messages that lost a job
    bool suspect_in_flight = false;
    size_t capacity = 0;
    size_t used[kLimited] = {};
  } routes_[kRoutes];

  PerRoute& RouteOf(const Unit& unit) {
    return routes_[static_cast<size_t>(destinations_[unit.destination].route)];
  }
};

}  // namespace postern::qmgr
