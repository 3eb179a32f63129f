// What is known of destinations: windows, dead hosts, pace, and how much of the workers' room each
// may use.
#include <algorithm>
#include <cmath>
#include <utility>

#include "daemons/qmgr/scheduler/scheduler.h"

namespace postern::qmgr {
namespace {

// A share of what a unit took lately goes into the mean.
constexpr int64_t kMeanWeight = 4;
constexpr int64_t kMinPaceUs = 100'000;  // below: none

// splitmix64: the same numbers on every machine, and eight octets of state.
double Uniform(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

}  // namespace

// first * 2^(attempts-1), give or take the jitter, at most the longest.
int64_t Scheduler::Backoff(uint32_t attempts) {
  const uint32_t doublings = std::min<uint32_t>(attempts == 0 ? 0 : attempts - 1, 40);
  const auto longest = static_cast<double>(options_.retry_longest_us);
  double wait =
      std::min(static_cast<double>(options_.retry_first_us) * std::exp2(doublings), longest);
  wait *= 1 - options_.jitter + 2 * options_.jitter * Uniform(random_);
  return std::max<int64_t>(1, static_cast<int64_t>(std::min(wait, longest)));
}

// How many units the destination takes now, beyond those under way.
uint32_t Scheduler::Room(const Destination& destination) const {
  if (destination.blocked_until_us > now_us_ || destination.held_at != Standing::kProven) return 0;
  const uint32_t window = WindowOf(destination);
  return window - std::min(window, destination.in_flight);
}

uint32_t Scheduler::WindowOf(const Destination& destination) const {
  const auto window = static_cast<uint32_t>(destination.window);
  return std::max<uint32_t>(1, std::min(window, options_.max_window));
}

Scheduler::Standing Scheduler::StandingOf(const Destination& destination) const {
  if (destination.failures > 0 || destination.mean_us > options_.slow_us) return Standing::kTrouble;
  return destination.learned;
}

// Destinations in trouble use at most half of the workers' room, those and unknown ones together
// three quarters: dead hosts that take minutes to say so never fill it.
bool Scheduler::Allowed(Route route, Standing standing) const {
  const PerRoute& at = routes_[static_cast<size_t>(route)];
  if (at.capacity == 0 || standing == Standing::kProven) return true;
  const size_t trouble = at.used[static_cast<size_t>(Standing::kTrouble)];
  const size_t both = trouble + at.used[static_cast<size_t>(Standing::kUnknown)];
  if (both >= std::max<size_t>(1, at.capacity * 3 / 4)) return false;
  return standing == Standing::kUnknown || trouble < std::max<size_t>(1, at.capacity / 2);
}

void Scheduler::HoldBack(uint32_t slot, Standing standing) {
  Destination& destination = destinations_[slot];
  destination.held_at = standing;
  PerRoute& at = routes_[static_cast<size_t>(destination.route)];
  PushBack(at.held_back[static_cast<size_t>(standing)], slot, DestinationLinks());
}

void Scheduler::LetGo(uint32_t slot) {
  Destination& destination = destinations_[slot];
  if (destination.held_at == Standing::kProven) return;
  PerRoute& at = routes_[static_cast<size_t>(destination.route)];
  Unlink(at.held_back[static_cast<size_t>(destination.held_at)], slot, DestinationLinks());
  destination.held_at = Standing::kProven;
  Refill(slot);
}

// As many lines as the destination has room for take their turns; the others stay parked, so that
// nobody looks at them in vain.
void Scheduler::Refill(uint32_t slot) {
  Destination& destination = destinations_[slot];
  while (!destination.parked.empty() && destination.active < Room(destination)) {
    ++steps_;
    const uint32_t line = destination.parked.head;
    Unlink(destination.parked, line, LineLinks());
    Activate(line);
  }
}

void Scheduler::Block(uint32_t slot, int64_t until_us) {
  Destination& destination = destinations_[slot];
  if (destination.place != kNone) blocked_.Remove(slot, DestinationPlace());
  destination.blocked_until_us = until_us;
  blocked_.Add(until_us, slot, DestinationPlace());
}

void Scheduler::Unblock(uint32_t slot) {
  Destination& destination = destinations_[slot];
  if (destination.place != kNone) blocked_.Remove(slot, DestinationPlace());
  destination.blocked_until_us = 0;
  Refill(slot);
}

Scheduler::Change Scheduler::Judge(uint32_t slot, const Running& job, Verdict verdict,
                                   std::string_view error) {
  Destination& destination = destinations_[slot];
  // Several that were on their way fail for one reason: only one that began after that counts.
  const bool counts = destination.failed_us == kNever || job.began_us >= destination.failed_us;
  if (verdict != Verdict::kHealthy) destination.last_error = error.substr(0, kMaxErrorText);
  if (verdict == Verdict::kUnreachable) {
    destination.window = 1;  // one unit goes ahead and finds out
    const bool first = destination.failures == 0 || counts;
    if (first) {
      ++destination.failures;
      destination.failed_us = now_us_ + 1;
    }
    if (first || destination.place == kNone) Block(slot, now_us_ + Backoff(destination.failures));
    return first && destination.failures == 1 ? Change::kDown : Change::kNone;
  }
  const bool answers_again = std::exchange(destination.failures, 0) > 0;
  if (verdict == Verdict::kHealthy) {
    const int64_t took = now_us_ - job.began_us;
    destination.mean_us += (took - destination.mean_us) / kMeanWeight;
    destination.learned = Standing::kProven;
    const bool probing = destination.window < options_.initial_window;
    destination.window =
        std::min<double>(std::max<uint32_t>(1, options_.max_window),
                         destination.window + (probing ? 1 : 1 / destination.window));
    destination.pace_us /= 2;
    if (destination.pace_us < std::min(kMinPaceUs, options_.pace_first_us)) destination.pace_us = 0;
  } else if (counts) {
    destination.window = std::max(1.0, destination.window / 2);
    destination.failed_us = now_us_ + 1;
    destination.pace_us = std::clamp(destination.pace_us * 2,
                                     std::min(options_.pace_first_us, options_.pace_longest_us),
                                     options_.pace_longest_us);
  }
  if (answers_again || destination.pace_us == 0) Unblock(slot);
  if (destination.pace_us > 0 && destination.place == kNone)
    Block(slot, now_us_ + destination.pace_us);
  if (verdict == Verdict::kHealthy) LetGo(slot);
  return answers_again ? Change::kBack : Change::kNone;
}

// Nothing under way and nothing to do: remembered for a while, the longest idle forgotten first.
void Scheduler::MakeIdle(uint32_t slot) {
  Destination& destination = destinations_[slot];
  if (destination.units > 0 || destination.in_flight > 0 || destination.idle) return;
  LetGo(slot);
  destination.idle = true;
  PushBack(idle_, slot, DestinationLinks());
  for (++idle_count_; idle_count_ > options_.max_idle_destinations; --idle_count_) {
    const uint32_t oldest = idle_.head;
    Unlink(idle_, oldest, DestinationLinks());
    if (destinations_[oldest].place != kNone) blocked_.Remove(oldest, DestinationPlace());
    destination_of_.erase(KeyOf(destinations_[oldest].route, destinations_[oldest].name));
    destinations_.Free(oldest);
  }
}

std::vector<DestinationView> Scheduler::Destinations(size_t limit) const {
  std::vector<uint32_t> slots;
  slots.reserve(destination_of_.size());
  for (const auto& [key, slot] : destination_of_) slots.push_back(slot);
  const auto before = [this](uint32_t a, uint32_t b) {
    const Destination& x = destinations_[a];
    const Destination& y = destinations_[b];
    if (x.failures != y.failures) return x.failures > y.failures;
    if (x.in_flight != y.in_flight) return x.in_flight > y.in_flight;
    if (x.units != y.units) return x.units > y.units;
    return x.name < y.name;
  };
  const size_t count = std::min(limit, slots.size());
  std::partial_sort(slots.begin(), slots.begin() + static_cast<ptrdiff_t>(count), slots.end(),
                    before);
  slots.resize(count);
  std::vector<DestinationView> views;
  for (const uint32_t slot : slots) {
    const Destination& destination = destinations_[slot];
    views.push_back({.name = destination.name,
                     .window = WindowOf(destination),
                     .in_flight = destination.in_flight,
                     .waiting = destination.due,
                     .failures = destination.failures,
                     .blocked_until_us = destination.blocked_until_us,
                     .last_error = destination.last_error,
                     .route = destination.route,
                     .queued = destination.units,
                     .pace_us = destination.pace_us,
                     .mean_us = destination.mean_us});
  }
  return views;
}

}  // namespace postern::qmgr
