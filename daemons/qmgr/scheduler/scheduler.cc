#include "daemons/qmgr/scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace postern::qmgr {
namespace {

// Nobody's mail is older; keeps sums of moments and ages far from overflow.
constexpr int64_t kOldestUs = int64_t{100} * 366 * 86'400 * 1'000'000;

uint64_t LineKey(uint32_t sender, uint32_t destination) {
  return uint64_t{destination} << 32 | sender;
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options) : options_(options), random_(options.seed) {}

std::string Scheduler::KeyOf(Route route, std::string_view name) {
  std::string key(1, static_cast<char>('0' + static_cast<int>(route)));
  key += name;
  return key;
}

void Scheduler::Tick(int64_t now_us) { now_us_ = std::max(now_us_, now_us); }

uint32_t Scheduler::DestinationFor(Route route, std::string_view name, bool fresh) {
  std::string key = KeyOf(route, name);
  const auto [found, is_new] = destination_of_.try_emplace(std::move(key), kNone);
  if (is_new) {
    const uint32_t slot = found->second = destinations_.New();
    Destination& made = destinations_[slot];
    made.name = name;
    made.route = route;
    made.window = std::max<uint32_t>(1, std::min(options_.initial_window, options_.max_window));
    made.learned = fresh ? Standing::kUnknown : Standing::kTrouble;
    return slot;
  }
  const uint32_t slot = found->second;
  Destination& destination = destinations_[slot];
  if (std::exchange(destination.idle, false)) {
    Unlink(idle_, slot, DestinationLinks());
    --idle_count_;
  }
  // Known from a restart only, by mail that failed before; now it gets the chance of a new one.
  if (fresh && destination.learned == Standing::kTrouble) {
    destination.learned = Standing::kUnknown;
    LetGo(slot);
  }
  return slot;
}

uint32_t Scheduler::SenderFor(std::string_view key) {
  const auto found = sender_of_.find(key);
  if (found != sender_of_.end()) return found->second;
  const uint32_t slot = senders_.New();
  senders_[slot].key = key;
  return sender_of_[std::string(key)] = slot;
}

void Scheduler::Add(uint64_t message_id, std::string_view sender, std::vector<UnitSpec> units,
                    uint32_t attempts, int64_t due_us, int64_t now_us, Origin origin) {
  Tick(now_us);
  const uint32_t slot = messages_.New();
  CHECK(ids_.emplace(message_id, slot).second);
  Message& message = messages_[slot];
  message.id = message_id;
  message.born_us = now_us_ - std::clamp<int64_t>(origin.age_us, 0, kOldestUs);
  GiveGrace(message);
  message.null_sender = origin.null_sender;
  message.late_told = origin.delay_told;
  message.sender = SenderFor(sender);
  ++senders_[message.sender].messages;
  SetAge(slot);
  for (UnitSpec& spec : units) {
    const uint32_t destination = DestinationFor(spec.route, spec.destination, attempts == 0);
    for (size_t at = 0; at < spec.recipients.size(); at += kMaxRecipientsPerUnit) {
      const size_t end = std::min(spec.recipients.size(), at + kMaxRecipientsPerUnit);
      const uint32_t unit = units_.New();
      Unit& made = units_[unit];
      made.message = slot;
      made.destination = destination;
      made.attempts = static_cast<uint16_t>(std::min<uint32_t>(attempts, UINT16_MAX));
      made.recipients.Assign(std::span(spec.recipients).subspan(at, end - at));
      ++destinations_[destination].units;
      PushBack(message.units, unit, SiblingLinks());
      due_us > now_us_ ? Wait(unit, due_us) : PutInLine(unit);
    }
    if (spec.recipients.empty() && destinations_[destination].units == 0) MakeIdle(destination);
  }
  Recount(slot);
}

// Whether the message counts as deferred.
void Scheduler::Recount(uint32_t slot) {
  Message& message = messages_[slot];
  const bool deferred = !message.held && !message.expired && message.due == 0 &&
                        message.in_flight == 0 && !message.units.empty();
  if (deferred == message.deferred) return;
  message.deferred = deferred;
  deferred ? ++deferred_count_ : --deferred_count_;
}

void Scheduler::Wait(uint32_t slot, int64_t due_us) {
  Unit& unit = units_[slot];
  unit.state = State::kWaiting;
  unit.due_or_job = due_us;
  PushBack(destinations_[unit.destination].waiting, slot, UnitLinks());
  timers_.Add(due_us, slot, UnitPlace());
}

// Due: behind what its sender has for the destination already.
void Scheduler::PutInLine(uint32_t slot) {
  Unit& unit = units_[slot];
  Message& message = messages_[unit.message];
  ++message.due;
  ++due_count_;
  ++destinations_[unit.destination].due;
  if (message.lost_jobs > 0) {
    unit.state = State::kSuspect;
    PushBack(RouteOf(unit).suspects, slot, UnitLinks());
    return;
  }
  JoinLine(slot);
}

void Scheduler::JoinLine(uint32_t slot) {
  Unit& unit = units_[slot];
  unit.state = State::kInLine;
  unit.old = unit.attempts > 0;
  unit.place = LineFor(messages_[unit.message].sender, unit.destination);
  Line& line = lines_[unit.place];
  PushBack(unit.old ? line.old : line.fresh, slot, UnitLinks());
  Refill(unit.destination);
}

uint32_t Scheduler::LineFor(uint32_t sender, uint32_t destination) {
  const auto [found, is_new] = line_of_.try_emplace(LineKey(sender, destination), kNone);
  if (is_new) {
    found->second = lines_.New();
    Line& line = lines_[found->second];
    line.sender = sender;
    line.destination = destination;
    PushBack(destinations_[destination].lines, found->second, LineSiblings());
    Park(found->second);
  }
  return found->second;
}

// The line may go: behind its sender's other lines, and its sender behind the other senders.
void Scheduler::Activate(uint32_t slot) {
  Line& line = lines_[slot];
  const auto route = static_cast<size_t>(destinations_[line.destination].route);
  Turn& turn = senders_[line.sender].turns[route];
  if (turn.lines.empty()) PushBack(routes_[route].turns, line.sender, TurnLinks(route));
  PushBack(turn.lines, slot, LineLinks());
  line.active = true;
  ++destinations_[line.destination].active;
}

void Scheduler::Deactivate(uint32_t slot) {
  Line& line = lines_[slot];
  const auto route = static_cast<size_t>(destinations_[line.destination].route);
  Turn& turn = senders_[line.sender].turns[route];
  Unlink(turn.lines, slot, LineLinks());
  if (turn.lines.empty()) Unlink(routes_[route].turns, line.sender, TurnLinks(route));
  line.active = false;
  --destinations_[line.destination].active;
}

void Scheduler::Park(uint32_t slot) {
  PushBack(destinations_[lines_[slot].destination].parked, slot, LineLinks());
}

// Takes a unit out of its line, and the line away with its last one. The caller refills.
void Scheduler::TakeOutOfLine(uint32_t slot) {
  Unit& unit = units_[slot];
  const uint32_t line_slot = std::exchange(unit.place, kNone);
  Line& line = lines_[line_slot];
  Unlink(unit.old ? line.old : line.fresh, slot, UnitLinks());
  if (!line.fresh.empty() || !line.old.empty()) return;
  if (line.active) {
    Deactivate(line_slot);
  } else {
    Unlink(destinations_[line.destination].parked, line_slot, LineLinks());
  }
  Unlink(destinations_[line.destination].lines, line_slot, LineSiblings());
  line_of_.erase(LineKey(line.sender, line.destination));
  lines_.Free(line_slot);
}

// Takes a unit out of whatever holds it; a job under way no longer knows it.
void Scheduler::Detach(uint32_t slot) {
  Unit& unit = units_[slot];
  Destination& destination = destinations_[unit.destination];
  switch (std::exchange(unit.state, State::kHeld)) {
    case State::kHeld:
      return;
    case State::kWaiting:
      timers_.Remove(slot, UnitPlace());
      Unlink(destination.waiting, slot, UnitLinks());
      return;
    case State::kInLine:
      TakeOutOfLine(slot);
      break;
    case State::kSuspect:
      Unlink(RouteOf(unit).suspects, slot, UnitLinks());
      break;
    case State::kInFlight:
      jobs_.at(static_cast<uint64_t>(unit.due_or_job)).unit = kNone;
      return;
  }
  --messages_[unit.message].due;
  --due_count_;
  --destination.due;
  Refill(unit.destination);
}

void Scheduler::FreeUnit(uint32_t slot) {
  const uint32_t destination = units_[slot].destination;
  Unlink(messages_[units_[slot].message].units, slot, SiblingLinks());
  units_.Free(slot);
  --destinations_[destination].units;
  MakeIdle(destination);
}

void Scheduler::Remove(uint64_t message_id) {
  const auto found = ids_.find(message_id);
  if (found == ids_.end()) return;
  const uint32_t slot = found->second;
  ids_.erase(found);
  Message& message = messages_[slot];
  while (!message.units.empty()) {
    const uint32_t unit = message.units.head;
    Detach(unit);
    FreeUnit(unit);
  }
  if (message.place != kNone) ages_.Remove(slot, MessagePlace());
  if (message.held) --held_count_;
  if (message.deferred) --deferred_count_;
  Sender& sender = senders_[message.sender];
  if (--sender.messages == 0) {
    sender_of_.erase(sender.key);
    senders_.Free(message.sender);
  }
  messages_.Free(slot);
}

// What has become due goes in line, and what was blocked may go. Returns how much that was.
size_t Scheduler::WakeDue() {
  size_t woken = 0;
  while (!blocked_.empty() && blocked_.first_us() <= now_us_ && woken < kMaxWokenAtOnce) {
    Unblock(blocked_.first());
    ++woken;
  }
  while (!timers_.empty() && timers_.first_us() <= now_us_ && woken < kMaxWokenAtOnce) {
    Hurry(timers_.first());
    ++woken;
  }
  steps_ += woken;
  return woken;
}

// Ends a unit's waiting.
void Scheduler::Hurry(uint32_t slot) {
  timers_.Remove(slot, UnitPlace());
  Unlink(destinations_[units_[slot].destination].waiting, slot, UnitLinks());
  PutInLine(slot);
  Recount(units_[slot].message);
}

std::optional<Job> Scheduler::Next(Route route, int64_t now_us) {
  Tick(now_us);
  if (options_.max_active != 0 && jobs_.size() >= options_.max_active) return std::nullopt;
  for (;;) {
    const size_t woken = WakeDue();
    uint32_t unit = NextSuspect(route);
    if (unit == kNone) unit = NextInTurn(route);
    if (unit != kNone) return Start(unit, route);
    if (!WakeHeldBack(route) && woken < kMaxWokenAtOnce) return std::nullopt;
  }
}

// One at a time, so that the message that kills its workers stands alone. Where the destination has
// no room now, it waits in line as others do.
uint32_t Scheduler::NextSuspect(Route route) {
  PerRoute& at = routes_[static_cast<size_t>(route)];
  while (!at.suspect_in_flight && !at.suspects.empty()) {
    ++steps_;
    const uint32_t unit = at.suspects.head;
    if (Room(destinations_[units_[unit].destination]) > 0) return unit;
    Unlink(at.suspects, unit, UnitLinks());
    JoinLine(unit);
  }
  return kNone;
}

uint32_t Scheduler::NextInTurn(Route route) {
  const auto index = static_cast<size_t>(route);
  while (!routes_[index].turns.empty()) {
    ++steps_;
    const uint32_t line = senders_[routes_[index].turns.head].turns[index].lines.head;
    const uint32_t slot = lines_[line].destination;
    const Destination& destination = destinations_[slot];
    if (Room(destination) > 0) {
      const Standing standing = StandingOf(destination);
      if (Allowed(route, standing)) return PickFrom(lines_[line]);
      HoldBack(slot, standing);
    }
    Deactivate(line);
    Park(line);
  }
  return kNone;
}

// Workers' room came free for destinations that waited for it.
bool Scheduler::WakeHeldBack(Route route) {
  for (const Standing standing : {Standing::kUnknown, Standing::kTrouble}) {
    const List& list = routes_[static_cast<size_t>(route)].held_back[static_cast<size_t>(standing)];
    if (list.empty() || !Allowed(route, standing)) continue;
    ++steps_;
    LetGo(list.head);
    return true;
  }
  return false;
}

uint32_t Scheduler::PickFrom(Line& line) {
  const bool old = line.fresh.empty() || (!line.old.empty() && ++line.turn % kRetryShare == 0);
  return (old ? line.old : line.fresh).head;
}

Job Scheduler::Start(uint32_t slot, Route route) {
  const auto index = static_cast<size_t>(route);
  Unit& unit = units_[slot];
  Message& message = messages_[unit.message];
  Destination& destination = destinations_[unit.destination];
  Running running{.unit = slot,
                  .destination = unit.destination,
                  .began_us = now_us_,
                  .standing = StandingOf(destination),
                  .suspect = unit.state == State::kSuspect};
  if (running.suspect) {
    Unlink(routes_[index].suspects, slot, UnitLinks());
    routes_[index].suspect_in_flight = true;
  } else {
    TakeTurn(slot, index);
  }
  --message.due;
  --due_count_;
  --destination.due;
  ++destination.in_flight;
  ++message.in_flight;
  if (running.standing < Standing::kProven)
    ++routes_[index].used[static_cast<size_t>(running.standing)];
  const uint64_t job_id = next_job_++;
  unit.state = State::kInFlight;
  unit.due_or_job = static_cast<int64_t>(job_id);
  jobs_.emplace(job_id, running);
  if (destination.pace_us > 0) Block(unit.destination, now_us_ + destination.pace_us);
  Refill(unit.destination);
  return {.job_id = job_id,
          .message_id = message.id,
          .route = route,
          .destination = destination.name,
          .recipients = unit.recipients.ToVector(),
          .attempts = unit.attempts};
}

// The unit goes; its line goes behind those that want the same destination, its sender behind the
// other senders.
void Scheduler::TakeTurn(uint32_t slot, size_t route) {
  const uint32_t line = units_[slot].place;
  const uint32_t sender = lines_[line].sender;
  const uint32_t destination = lines_[line].destination;
  const bool last = lines_[line].fresh.head == lines_[line].fresh.tail &&
                    lines_[line].old.head == lines_[line].old.tail &&
                    lines_[line].fresh.empty() != lines_[line].old.empty();
  TakeOutOfLine(slot);
  if (!last) {
    Deactivate(line);
    destinations_[destination].parked.empty() ? Activate(line) : Park(line);
  }
  if (senders_[sender].turns[route].lines.empty()) return;
  Unlink(routes_[route].turns, sender, TurnLinks(route));
  PushBack(routes_[route].turns, sender, TurnLinks(route));
}

std::optional<int64_t> Scheduler::NextWakeup(int64_t now_us) {
  Tick(now_us);
  if (WakeDue() >= kMaxWokenAtOnce) return now_us_;
  std::optional<int64_t> next = NextWakeup();
  if (next.has_value()) next = std::max(*next, now_us_);
  return next;
}

std::optional<int64_t> Scheduler::NextWakeup() const {
  std::optional<int64_t> next;
  for (const TimerHeap* heap : {&timers_, &blocked_, &ages_}) {
    if (!heap->empty() && (!next.has_value() || heap->first_us() < *next)) next = heap->first_us();
  }
  return next;
}

}  // namespace postern::qmgr
