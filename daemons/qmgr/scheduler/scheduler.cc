#include "daemons/qmgr/scheduler/scheduler.h"

#include <algorithm>
#include <cmath>

#include "common/base/check.h"

namespace postern::qmgr {

Scheduler::~Scheduler() = default;

// first * 2^(attempts-1), at most the longest, give or take the jitter.
int64_t Scheduler::Backoff(uint32_t attempts) {
  const uint32_t doublings = std::min<uint32_t>(attempts == 0 ? 0 : attempts - 1, 40);
  const double wait = std::min(static_cast<double>(options_.retry_first_us) * std::exp2(doublings),
                               static_cast<double>(options_.retry_longest_us));
  std::uniform_real_distribution<double> around(1 - options_.jitter, 1 + options_.jitter);
  return std::max<int64_t>(1, static_cast<int64_t>(wait * around(random_)));
}

Scheduler::Destination& Scheduler::DestinationFor(Route route, const std::string& name) {
  std::string key(1, static_cast<char>('0' + static_cast<int>(route)));
  key += name;
  std::unique_ptr<Destination>& destination = destinations_[key];
  if (destination == nullptr) {
    destination = std::make_unique<Destination>();
    destination->name = name;
    destination->route = route;
    destination->window = std::min(options_.initial_window, options_.max_window);
  }
  return *destination;
}

Scheduler::Sender& Scheduler::SenderFor(std::string_view key) {
  const auto found = senders_.find(key);
  if (found != senders_.end()) return *found->second;
  auto sender = std::make_unique<Sender>();
  sender->key = key;
  for (Sender::Turn& turn : sender->turns) turn.sender = sender.get();
  return *(senders_[std::string(key)] = std::move(sender));
}

void Scheduler::Add(uint64_t message_id, std::string_view sender, std::vector<UnitSpec> units,
                    uint32_t attempts, int64_t due_us, int64_t now_us) {
  std::unique_ptr<Message>& message = messages_[message_id];
  CHECK(message == nullptr);
  message = std::make_unique<Message>();
  message->id = message_id;
  message->sender = &SenderFor(sender);
  ++message->sender->messages;
  for (UnitSpec& spec : units) {
    Destination& destination = DestinationFor(spec.route, spec.destination);
    for (size_t at = 0; at < spec.recipients.size(); at += kMaxRecipientsPerUnit) {
      const size_t end = std::min(spec.recipients.size(), at + kMaxRecipientsPerUnit);
      auto unit = std::make_unique<Unit>();
      unit->message = message.get();
      unit->destination = &destination;
      unit->recipients.assign(spec.recipients.begin() + static_cast<ptrdiff_t>(at),
                              spec.recipients.begin() + static_cast<ptrdiff_t>(end));
      unit->attempts = attempts;
      ++destination.units;
      Unit* added = message->units.emplace_back(std::move(unit)).get();
      if (due_us > now_us) {
        Wait(*added, due_us);
      } else {
        PutInLine(*added);
      }
    }
  }
}

void Scheduler::Wait(Unit& unit, int64_t due_us) {
  unit.state = Unit::State::kWaiting;
  unit.due_us = due_us;
  unit.timer = timers_.emplace(due_us, &unit).first;
}

void Scheduler::PutInLine(Unit& unit) {
  unit.state = Unit::State::kInLine;
  Destination& destination = *unit.destination;
  ++destination.waiting;
  std::unique_ptr<Line>& line = destination.lines[unit.message->sender];
  if (line == nullptr) {
    line = std::make_unique<Line>();
    line->sender = unit.message->sender;
    line->destination = &destination;
  }
  (unit.attempts == 0 ? line->fresh : line->old).push_back(&unit);
  if (!line->linked()) Activate(*line);
}

// The line may go: behind its sender's other lines, and its sender behind the other senders.
void Scheduler::Activate(Line& line) {
  const auto route = static_cast<size_t>(line.destination->route);
  line.LinkBefore(line.sender->lines[route]);
  Sender::Turn& turn = line.sender->turns[route];
  if (!turn.linked()) turn.LinkBefore(turns_[route]);
}

bool Scheduler::HasRoom(const Destination& destination, int64_t now_us) const {
  if (destination.blocked_until_us > now_us) return false;
  // After failures one unit goes ahead and finds out.
  const uint32_t window = destination.failures > 0
                              ? 1
                              : std::max<uint32_t>(1, static_cast<uint32_t>(destination.window));
  return destination.in_flight < window;
}

Scheduler::Unit* Scheduler::TakeFrom(Line& line) {
  const bool take_old = line.fresh.empty() || (!line.old.empty() && ++line.turn % kRetryShare == 0);
  std::deque<Unit*>& from = take_old ? line.old : line.fresh;
  Unit* unit = from.front();
  from.pop_front();
  return unit;
}

void Scheduler::WakeDue(int64_t now_us) {
  while (!timers_.empty() && timers_.begin()->first <= now_us) {
    Unit* unit = timers_.begin()->second;
    timers_.erase(timers_.begin());
    PutInLine(*unit);
  }
  while (!blocked_.empty() && blocked_.begin()->first <= now_us) {
    Destination* destination = blocked_.begin()->second;
    blocked_.erase(blocked_.begin());
    destination->blocked_until_us = 0;
    Unpark(*destination, false);
  }
}

std::optional<Job> Scheduler::Next(Route route_kind, int64_t now_us) {
  WakeDue(now_us);
  const auto route = static_cast<size_t>(route_kind);
  while (turns_[route].linked()) {
    Sender& sender = *static_cast<Sender::Turn*>(turns_[route].next())->sender;
    if (!sender.lines[route].linked()) {
      sender.turns[route].Unlink();
      continue;
    }
    Line& line = *static_cast<Line*>(sender.lines[route].next());
    Destination& destination = *line.destination;
    if (line.empty()) {
      line.Unlink();
      continue;
    }
    if (!HasRoom(destination, now_us)) {
      line.LinkBefore(destination.parked);
      continue;
    }
    Unit& unit = *TakeFrom(line);
    --destination.waiting;
    ++destination.in_flight;
    unit.state = Unit::State::kInFlight;
    unit.job_id = next_job_++;
    jobs_[unit.job_id] = &unit;
    // To the end of both lines: the others come first next time.
    line.Unlink();
    sender.turns[route].Unlink();
    if (!line.empty()) line.LinkBefore(sender.lines[route]);
    if (sender.lines[route].linked()) sender.turns[route].LinkBefore(turns_[route]);
    return Job{.job_id = unit.job_id,
               .message_id = unit.message->id,
               .route = route_kind,
               .destination = destination.name,
               .recipients = unit.recipients,
               .attempts = unit.attempts};
  }
  return std::nullopt;
}

// Lines that waited for room at this destination: the first, or all.
void Scheduler::Unpark(Destination& destination, bool all) {
  while (destination.parked.linked()) {
    Line& line = *static_cast<Line*>(destination.parked.next());
    line.Unlink();
    if (line.empty()) continue;
    Activate(line);
    if (!all) return;
  }
}

void Scheduler::Block(Destination& destination, int64_t until_us) {
  Unblock(destination);
  destination.blocked_until_us = until_us;
  blocked_.emplace(until_us, &destination);
}

void Scheduler::Unblock(Destination& destination) {
  if (destination.blocked_until_us == 0) return;
  blocked_.erase({destination.blocked_until_us, &destination});
  destination.blocked_until_us = 0;
}

void Scheduler::Judge(Destination& destination, Verdict verdict, std::string_view error,
                      int64_t now_us) {
  switch (verdict) {
    case Verdict::kHealthy:
      if (destination.failures > 0) {
        destination.failures = 0;
        Unblock(destination);
        Unpark(destination, true);
      }
      destination.window =
          std::min<double>(options_.max_window, destination.window + 1 / destination.window);
      return;
    case Verdict::kBusy:
      destination.window = std::max(1.0, destination.window / 2);
      destination.last_error = error.substr(0, kMaxErrorText);
      return;
    case Verdict::kUnreachable:
      destination.window = 1;
      destination.last_error = error.substr(0, kMaxErrorText);
      // Several that were on their way fail for one reason: only the first after a pause counts.
      if (destination.blocked_until_us <= now_us)
        Block(destination, now_us + Backoff(++destination.failures));
      return;
  }
}

Scheduler::Done Scheduler::JobDone(uint64_t job_id, Verdict verdict, std::string_view error,
                                   std::vector<uint32_t> deferred, int64_t now_us) {
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return {};
  Unit* unit = found->second;
  jobs_.erase(found);
  Destination& destination = *unit->destination;
  --destination.in_flight;
  Judge(destination, verdict, error, now_us);
  Unpark(destination, false);
  Message& message = *unit->message;
  Done done{.known = true, .next_due_us = 0, .attempts = unit->attempts + 1};
  unit->recipients = std::move(deferred);
  if (unit->recipients.empty()) {
    RemoveUnit(message, unit);
  } else {
    ++unit->attempts;
    Wait(*unit, now_us + Backoff(unit->attempts));
  }
  for (const std::unique_ptr<Unit>& other : message.units) {
    if (other->state == Unit::State::kWaiting &&
        (done.next_due_us == 0 || other->due_us < done.next_due_us)) {
      done.next_due_us = other->due_us;
    }
  }
  return done;
}

bool Scheduler::JobLost(uint64_t job_id, int64_t) {
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return false;
  Unit* unit = found->second;
  jobs_.erase(found);
  --unit->destination->in_flight;
  Unpark(*unit->destination, false);
  PutInLine(*unit);
  return ++unit->message->lost_jobs >= kMaxLostJobs;
}

// Takes a unit out of whatever holds it.
void Scheduler::Detach(Unit& unit) {
  Destination& destination = *unit.destination;
  switch (unit.state) {
    case Unit::State::kWaiting:
      timers_.erase(unit.timer);
      break;
    case Unit::State::kInLine: {
      Line& line = *destination.lines[unit.message->sender];
      // Rare (an operator's doing), so that a search is fine.
      std::erase(line.fresh, &unit);
      std::erase(line.old, &unit);
      --destination.waiting;
      break;
    }
    case Unit::State::kInFlight:
      if (jobs_.erase(unit.job_id) > 0) {
        --destination.in_flight;
        Unpark(destination, false);
      }
      break;
  }
}

void Scheduler::RemoveUnit(Message& message, Unit* unit) {
  Destination& destination = *unit->destination;
  Sender* sender = message.sender;
  --destination.units;
  std::erase_if(message.units,
                [unit](const std::unique_ptr<Unit>& one) { return one.get() == unit; });
  // A line with nothing in it, and a destination nobody writes to and nothing is known against, go.
  const auto line = destination.lines.find(sender);
  if (line != destination.lines.end() && line->second->empty()) destination.lines.erase(line);
  if (destination.units == 0 && destination.failures == 0 && destination.in_flight == 0) {
    std::string key(1, static_cast<char>('0' + static_cast<int>(destination.route)));
    key += destination.name;
    Unblock(destination);
    destinations_.erase(key);
  }
}

void Scheduler::Remove(uint64_t message_id) {
  const auto found = messages_.find(message_id);
  if (found == messages_.end()) return;
  Message& message = *found->second;
  while (!message.units.empty()) {
    Unit* unit = message.units.back().get();
    Detach(*unit);
    RemoveUnit(message, unit);
  }
  Sender* sender = message.sender;
  messages_.erase(found);
  if (--sender->messages == 0) senders_.erase(sender->key);
}

uint64_t Scheduler::Flush(uint64_t message_id, int64_t) {
  const auto found = messages_.find(message_id);
  if (found == messages_.end()) return 0;
  for (const std::unique_ptr<Unit>& unit : found->second->units) {
    Unblock(*unit->destination);
    if (unit->state == Unit::State::kWaiting) {
      timers_.erase(unit->timer);
      PutInLine(*unit);
    }
    Unpark(*unit->destination, true);
  }
  return 1;
}

uint64_t Scheduler::FlushDestination(std::string_view destination, int64_t now_us) {
  uint64_t flushed = 0;
  for (const auto& [id, message] : messages_) {
    const bool concerned = std::any_of(
        message->units.begin(), message->units.end(),
        [&](const std::unique_ptr<Unit>& unit) { return unit->destination->name == destination; });
    if (concerned) flushed += Flush(id, now_us);
  }
  return flushed;
}

uint64_t Scheduler::FlushAll(int64_t now_us) {
  for (const auto& [id, message] : messages_) Flush(id, now_us);
  return messages_.size();
}

bool Scheduler::HasJob(uint64_t message_id) const {
  const auto found = messages_.find(message_id);
  return found != messages_.end() &&
         std::any_of(found->second->units.begin(), found->second->units.end(),
                     [](const std::unique_ptr<Unit>& unit) {
                       return unit->state == Unit::State::kInFlight;
                     });
}

std::optional<int64_t> Scheduler::NextWakeup() const {
  std::optional<int64_t> next;
  if (!timers_.empty()) next = timers_.begin()->first;
  if (!blocked_.empty() && (!next.has_value() || blocked_.begin()->first < *next))
    next = blocked_.begin()->first;
  return next;
}

std::vector<DestinationView> Scheduler::Destinations(size_t limit) const {
  std::vector<DestinationView> views;
  for (const auto& [key, destination] : destinations_) {
    if (views.size() >= limit) break;
    views.push_back({.name = destination->name,
                     .window = std::max<uint32_t>(1, static_cast<uint32_t>(destination->window)),
                     .in_flight = destination->in_flight,
                     .waiting = destination->waiting,
                     .failures = destination->failures,
                     .blocked_until_us = destination->blocked_until_us,
                     .last_error = destination->last_error});
  }
  return views;
}

}  // namespace postern::qmgr
