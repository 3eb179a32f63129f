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
  const Change change = Judge(job.destination, job, verdict, error);
  End(job);
  if (job.unit == kNone) return {.change = change};
  Unit& unit = units_[job.unit];
  const uint32_t slot = unit.message;
  Message& message = messages_[slot];
  message.lost_jobs = 0;
  Done done{.known = true, .attempts = unit.attempts + 1u, .change = change};
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
  Recount(slot);
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

// Ends a job that has no result; its unit, or kNone if the message was removed.
uint32_t Scheduler::TakeBack(uint64_t job_id, int64_t now_us) {
  Tick(now_us);
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return kNone;
  const Running job = found->second;
  jobs_.erase(found);
  End(job);
  if (job.unit != kNone) units_[job.unit].state = State::kHeld;
  return job.unit;
}

void Scheduler::GoAgain(uint32_t unit) {
  const uint32_t slot = units_[unit].message;
  const Message& message = messages_[slot];
  if (!message.held && !message.expired) PutInLine(unit);
  Recount(slot);
  if (message.expired) SetAge(slot);
}

bool Scheduler::JobLost(uint64_t job_id, int64_t now_us) {
  const uint32_t unit = TakeBack(job_id, now_us);
  if (unit == kNone) return false;
  Message& message = messages_[units_[unit].message];
  const bool poison = ++message.lost_jobs >= kMaxLostJobs;
  if (poison) {
    message.lost_jobs = 0;  // a released one has its chances again
    Hold(message.id);
  }
  GoAgain(unit);
  return poison;
}

void Scheduler::JobNotBegun(uint64_t job_id, int64_t now_us) {
  if (const uint32_t unit = TakeBack(job_id, now_us); unit != kNone) GoAgain(unit);
}

std::optional<MessageView> Scheduler::Look(uint64_t message_id) const {
  const auto found = ids_.find(message_id);
  if (found == ids_.end()) return std::nullopt;
  const Message& message = messages_[found->second];
  return MessageView{.held = message.held,
                     .deferred = message.deferred,
                     .with_worker = message.in_flight > 0,
                     .expired = message.expired,
                     .next_due_us = EarliestDue(message)};
}

std::vector<uint32_t> Scheduler::RecipientsLeft(uint64_t message_id) const {
  std::vector<uint32_t> all;
  const auto found = ids_.find(message_id);
  if (found == ids_.end()) return all;
  for (uint32_t unit = messages_[found->second].units.head; unit != kNone;
       unit = units_[unit].siblings.next) {
    if (units_[unit].state == State::kInFlight) continue;
    const std::vector<uint32_t> some = units_[unit].recipients.ToVector();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

std::vector<uint32_t> Scheduler::TakeLeft(uint64_t message_id) {
  std::vector<uint32_t> all = RecipientsLeft(message_id);
  const auto found = ids_.find(message_id);
  if (found == ids_.end()) return all;
  for (uint32_t unit = messages_[found->second].units.head; unit != kNone;) {
    const uint32_t next = units_[unit].siblings.next;
    if (units_[unit].state != State::kInFlight) {
      Detach(unit);
      FreeUnit(unit);
    }
    unit = next;
  }
  Recount(found->second);
  return all;
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
  Recount(found->second);
  SetAge(found->second);
  return true;
}

bool Scheduler::Release(uint64_t message_id, int64_t now_us) {
  Tick(now_us);
  const auto found = ids_.find(message_id);
  if (found == ids_.end() || !messages_[found->second].held) return false;
  Message& message = messages_[found->second];
  message.held = message.expired = message.told = false;
  --held_count_;
  for (uint32_t unit = message.units.head; unit != kNone; unit = units_[unit].siblings.next) {
    if (units_[unit].state == State::kHeld) PutInLine(unit);
  }
  GiveGrace(message);
  SetAge(found->second);
  Recount(found->second);
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
  absl::flat_hash_set<uint32_t> messages;
  for (const Route route : {Route::kRemote, Route::kLocal}) {
    const auto found = destination_of_.find(KeyOf(route, name));
    if (found == destination_of_.end()) continue;
    Destination& destination = destinations_[found->second];
    while (!destination.waiting.empty()) Hurry(destination.waiting.head);
    Unblock(found->second);
    AddMessagesDue(found->second, messages);
  }
  return messages.size();
}

// All that is in line for the destination, whoever sent it.
void Scheduler::AddMessagesDue(uint32_t destination, absl::flat_hash_set<uint32_t>& to) const {
  for (uint32_t line = destinations_[destination].lines.head; line != kNone;
       line = lines_[line].siblings.next) {
    for (const List* units : {&lines_[line].fresh, &lines_[line].old}) {
      for (uint32_t unit = units->head; unit != kNone; unit = units_[unit].links.next)
        to.insert(units_[unit].message);
    }
  }
  const auto route = static_cast<size_t>(destinations_[destination].route);
  for (uint32_t unit = routes_[route].suspects.head; unit != kNone;
       unit = units_[unit].links.next) {
    if (units_[unit].destination == destination) to.insert(units_[unit].message);
  }
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

// A message that comes in too old, or is let go so, has the time for one more attempt.
void Scheduler::GiveGrace(Message& message) {
  message.added_us = now_us_;
  message.grace_us = now_us_ + options_.retry_first_us;
}

// When the message is looked at again for its age; a held one is not.
void Scheduler::SetAge(uint32_t slot) {
  Message& message = messages_[slot];
  if (message.place != kNone) ages_.Remove(slot, MessagePlace());
  if (message.held) return;
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
      if (!std::exchange(message.expired, true)) {
        StopUnits(slot);
        Recount(slot);
      }
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
          .deferred = deferred_count_,
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
