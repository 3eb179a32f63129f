// Jobs that end, messages that grow old, and what an operator asks for.
#include <algorithm>
#include <utility>

#include "daemons/qmgr/scheduler/scheduler.h"

namespace postern::qmgr {
namespace {

// A message with thousands of destinations is not looked through at each result.
constexpr int kMaxUnitsLookedAt = 64;

}  // namespace

// A job no longer occupies a worker.
void Scheduler::End(const Running& job) {
  Destination& destination = destinations_[job.destination];
  PerRoute& at = routes_[static_cast<size_t>(destination.route)];
  --destination.in_flight;
  if (job.suspect) at.suspect_in_flight = false;
  if (job.standing < Standing::kProven) {
    --at.used[static_cast<size_t>(job.standing)];
    WakeHeldBack(destination.route);
  }
  if (job.unit != kNone) --messages_[units_[job.unit].message].in_flight;
  Refill(job.destination);
  MakeIdle(job.destination);
}

Scheduler::Done Scheduler::JobDone(uint64_t job_id, Verdict verdict, std::string_view error,
                                   std::vector<uint32_t> deferred, int64_t now_us) {
  Tick(now_us);
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return {};
  const Running job = found->second;
  jobs_.erase(found);
  Judge(job.destination, job, verdict, error);
  End(job);
  if (job.unit == kNone) return {};
  Unit& unit = units_[job.unit];
  const uint32_t slot = unit.message;
  Message& message = messages_[slot];
  message.lost_jobs = 0;
  Done done{.known = true, .attempts = unit.attempts + 1u};
  if (deferred.empty()) {
    FreeUnit(job.unit);
  } else {
    unit.recipients.Assign(deferred);
    if (unit.attempts < UINT16_MAX) ++unit.attempts;
    unit.state = State::kHeld;
    if (!message.held && !message.expired) Wait(job.unit, now_us_ + Backoff(unit.attempts));
  }
  done.finished = message.units.empty();
  done.next_due_us = EarliestDue(message);
  if (message.expired) SetAge(slot);
  return done;
}

int64_t Scheduler::EarliestDue(const Message& message) const {
  int64_t earliest = 0;
  uint32_t slot = message.units.head;
  for (int looked = 0; slot != kNone && looked < kMaxUnitsLookedAt; ++looked) {
    const Unit& unit = units_[slot];
    if (unit.state == State::kWaiting && (earliest == 0 || unit.due_or_job < earliest))
      earliest = unit.due_or_job;
    slot = unit.siblings.next;
  }
  return earliest;
}

bool Scheduler::JobLost(uint64_t job_id, int64_t now_us) {
  Tick(now_us);
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return false;
  const Running job = found->second;
  jobs_.erase(found);
  End(job);
  if (job.unit == kNone) return false;
  Unit& unit = units_[job.unit];
  const uint32_t slot = unit.message;
  Message& message = messages_[slot];
  unit.state = State::kHeld;
  const bool poison = ++message.lost_jobs >= kMaxLostJobs;
  if (poison) {
    message.lost_jobs = 0;  // a released one has its chances again
    Hold(message.id);
  } else if (!message.held && !message.expired) {
    PutInLine(job.unit);
  }
  if (message.expired) SetAge(slot);
  return poison;
}

bool Scheduler::HasJob(uint64_t message_id) const {
  const auto found = ids_.find(message_id);
  return found != ids_.end() && messages_[found->second].in_flight > 0;
}

// What is not with a worker stays here.
void Scheduler::StopUnits(uint32_t message) {
  for (uint32_t unit = messages_[message].units.head; unit != kNone;
       unit = units_[unit].siblings.next) {
    if (units_[unit].state != State::kInFlight) Detach(unit);
  }
}

bool Scheduler::Hold(uint64_t message_id) {
  const auto found = ids_.find(message_id);
  if (found == ids_.end() || messages_[found->second].held) return false;
  messages_[found->second].held = true;
  ++held_count_;
  StopUnits(found->second);
  return true;
}

bool Scheduler::Release(uint64_t message_id) {
  const auto found = ids_.find(message_id);
  if (found == ids_.end() || !messages_[found->second].held) return false;
  Message& message = messages_[found->second];
  message.held = false;
  --held_count_;
  if (message.expired) return true;
  for (uint32_t unit = message.units.head; unit != kNone; unit = units_[unit].siblings.next) {
    if (units_[unit].state == State::kHeld) PutInLine(unit);
  }
  return true;
}

uint64_t Scheduler::Flush(uint64_t message_id, int64_t now_us) {
  Tick(now_us);
  const auto found = ids_.find(message_id);
  if (found == ids_.end()) return 0;
  const Message& message = messages_[found->second];
  if (message.held || message.expired) return 0;
  for (uint32_t unit = message.units.head; unit != kNone; unit = units_[unit].siblings.next) {
    Unblock(units_[unit].destination);
    if (units_[unit].state == State::kWaiting) Hurry(unit);
  }
  return 1;
}

uint64_t Scheduler::FlushDestination(std::string_view name, int64_t now_us) {
  Tick(now_us);
  uint64_t units = 0;
  for (const Route route : {Route::kRemote, Route::kLocal}) {
    const auto found = destination_of_.find(KeyOf(route, name));
    if (found == destination_of_.end()) continue;
    Destination& destination = destinations_[found->second];
    while (!destination.waiting.empty()) Hurry(destination.waiting.head);
    Unblock(found->second);
    units += destination.due;
  }
  return units;
}

uint64_t Scheduler::FlushAll(int64_t now_us) {
  Tick(now_us);
  while (!timers_.empty()) Hurry(timers_.first());
  while (!blocked_.empty()) Unblock(blocked_.first());
  return messages_.live() - held_count_;
}

int64_t Scheduler::ExpiresAt(const Message& message) const {
  int64_t life = options_.lifetime_us;
  if (message.null_sender && options_.bounce_lifetime_us > 0)
    life = life == 0 ? options_.bounce_lifetime_us : std::min(life, options_.bounce_lifetime_us);
  if (life == 0) return INT64_MAX;
  // The grace is for mail that came in old; a life that is shorter than it is not made longer.
  return std::max(message.born_us + life, std::min(message.grace_us, message.added_us + life));
}

// When the message is looked at again for its age.
void Scheduler::SetAge(uint32_t slot) {
  Message& message = messages_[slot];
  if (message.place != kNone) ages_.Remove(slot, MessagePlace());
  if (message.expired) {
    if (!message.told && message.in_flight == 0 && !message.units.empty())
      ages_.Add(now_us_, slot, MessagePlace());
    return;
  }
  int64_t next = ExpiresAt(message);
  if (!message.late_told && !message.null_sender && options_.delay_notice_us > 0)
    next = std::min(next, message.born_us + options_.delay_notice_us);
  if (next != INT64_MAX) ages_.Add(next, slot, MessagePlace());
}

std::vector<AgedMessage> Scheduler::TakeAged(int64_t now_us, size_t limit) {
  Tick(now_us);
  std::vector<AgedMessage> aged;
  while (aged.size() < limit && !ages_.empty() && ages_.first_us() <= now_us_) {
    ++steps_;
    const uint32_t slot = ages_.first();
    Message& message = messages_[slot];
    if (!message.expired && now_us_ < ExpiresAt(message)) {
      message.late_told = true;
      if (!message.units.empty())
        aged.push_back({.message_id = message.id, .what = AgedMessage::What::kLate});
    } else {
      if (!std::exchange(message.expired, true)) StopUnits(slot);
      if (message.in_flight == 0 && !message.units.empty()) {
        message.told = true;
        aged.push_back({.message_id = message.id, .what = AgedMessage::What::kExpired});
      }
    }
    SetAge(slot);
  }
  return aged;
}

void Scheduler::SetOptions(const SchedulerOptions& options) {
  const SchedulerOptions old = std::exchange(options_, options);
  for (uint32_t slot = 0; slot < destinations_.end(); ++slot) Refill(slot);
  if (old.lifetime_us == options.lifetime_us &&
      old.bounce_lifetime_us == options.bounce_lifetime_us &&
      old.delay_notice_us == options.delay_notice_us)
    return;
  for (uint32_t slot = 0; slot < messages_.end(); ++slot) {
    if (messages_[slot].sender != kNone) SetAge(slot);
  }
}

void Scheduler::SetCapacity(Route route, size_t units) {
  routes_[static_cast<size_t>(route)].capacity = units;
}

SchedulerCounts Scheduler::Counts() const {
  return {.messages = messages_.live(),
          .held = held_count_,
          .in_flight = jobs_.size(),
          .due = due_count_,
          .waiting = timers_.size()};
}

size_t Scheduler::octets() const {
  const auto table = [](const auto& map) { return map.capacity() * (sizeof(*map.begin()) + 1); };
  return messages_.octets() + units_.octets() + lines_.octets() + destinations_.octets() +
         senders_.octets() + table(ids_) + table(line_of_) + table(jobs_) + table(destination_of_) +
         table(sender_of_) + timers_.octets() + ages_.octets() + blocked_.octets();
}

}  // namespace postern::qmgr
