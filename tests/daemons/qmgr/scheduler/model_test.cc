// Random calls, and after each the scheduler is asked whether it agrees with a reference that keeps
// every unit in one map and looks through all of it. Without jitter, so that due times are known.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/daemons/qmgr/scheduler/harness.h"

namespace postern::qmgr {
namespace {

struct ModelUnit {
  std::string destination;
  std::vector<uint32_t> recipients;
  uint32_t attempts = 0;
  int64_t due_us = 0;
  bool in_flight = false;
};
struct ModelMessage {
  std::string sender;
  std::vector<ModelUnit> units;
  bool held = false;
  int lost = 0;
  bool was_lost = false;  // its units may wait for another suspect to end
};

class Model {
 public:
  Model(uint64_t seed, size_t capacity)
      : random_(seed), capacity_(capacity), options_(Options(seed)), h_(options_) {
    h_.scheduler.SetCapacity(Route::kRemote, capacity);
  }

  void Run(int steps) {
    for (int step = 0; step < steps && !::testing::Test::HasFatalFailure(); ++step) {
      SCOPED_TRACE(::testing::Message() << "step " << step);
      Step();
      Compare();
    }
  }

  // All that is left is delivered: nothing is stuck.
  void Finish() {
    for (auto& [id, message] : messages_) {
      if (!std::exchange(message.held, false)) continue;
      h_.scheduler.Release(id, h_.now);
      for (ModelUnit& unit : message.units) unit.due_us = h_.now;
    }
    for (int round = 0; round < 100'000 && !messages_.empty(); ++round) {
      TakeAll();
      while (!jobs_.empty()) End(0, Verdict::kHealthy, false);
      if (messages_.empty()) break;
      const auto next = h_.scheduler.NextWakeup(h_.now);
      if (!next.has_value()) continue;
      h_.now = std::max(h_.now, *next);
    }
    EXPECT_TRUE(messages_.empty()) << messages_.size() << " messages are stuck";
    EXPECT_EQ(h_.scheduler.Counts().messages, 0u);
    EXPECT_EQ(h_.scheduler.Counts().due, 0u);
    EXPECT_EQ(h_.scheduler.Counts().in_flight, 0u);
  }

 private:
  static SchedulerOptions Options(uint64_t seed) {
    return {.retry_first_us = 10 * kSecond,
            .retry_longest_us = 100 * kSecond,
            .max_window = static_cast<uint32_t>(1 + seed % 7),
            .initial_window = static_cast<uint32_t>(1 + seed % 3),
            .jitter = 0,
            .seed = seed,
            .max_idle_destinations = static_cast<uint32_t>(seed % 5)};
  }

  uint32_t Random(uint32_t below) { return static_cast<uint32_t>(random_() % below); }

  void Step() {
    switch (Random(16)) {
      case 0:
      case 1:
      case 2:
        return Add();
      case 3:
      case 4:
      case 5:
        return TakeOne();
      case 6:
        return TakeAll();
      case 7:
      case 8:
      case 9:
        if (!jobs_.empty())
          End(Random(static_cast<uint32_t>(jobs_.size())),
              static_cast<Verdict>(std::min(Random(6), 2u)), Random(2) == 0);
        return;
      case 10:
        return Lose();
      case 11:
        h_.now += Random(2) == 0 ? Random(2000) * 1000 : Random(60) * kSecond;
        return;
      case 12:
        return Remove();
      case 13:
        return HoldOrRelease();
      case 14:
        return Flush();
      case 15:
        if (const auto next = h_.scheduler.NextWakeup(h_.now); next.has_value()) {
          ASSERT_GE(*next, h_.now);
          h_.now = *next;
        }
        return;
    }
  }

  void Add() {
    const uint64_t id = ++last_id_;
    ModelMessage message{.sender = "s" + std::to_string(Random(5)), .units = {}};
    const uint32_t attempts = Random(3) == 0 ? Random(4) : 0;
    const int64_t due = Random(3) == 0 ? h_.now + Random(30) * kSecond : 0;
    std::vector<UnitSpec> specs;
    std::set<uint32_t> used;
    for (uint32_t i = 0; i <= Random(3); ++i) {
      const uint32_t destination = Random(8);
      if (!used.insert(destination).second) continue;
      const std::string name = "d" + std::to_string(destination);
      std::vector<uint32_t> recipients;
      for (uint32_t r = 0; r <= Random(4); ++r) recipients.push_back(i * 100 + r);
      specs.push_back({.destination = name, .recipients = recipients});
      message.units.push_back({.destination = name,
                               .recipients = recipients,
                               .attempts = attempts,
                               .due_us = std::max(due, h_.now)});
    }
    h_.scheduler.Add(id, message.sender, specs, attempts, due, h_.now);
    messages_[id] = std::move(message);
  }

  ModelUnit* Find(const Job& job) {
    const auto found = messages_.find(job.message_id);
    if (found == messages_.end()) return nullptr;
    for (ModelUnit& unit : found->second.units) {
      if (unit.destination == job.destination) return &unit;
    }
    return nullptr;
  }

  bool Take() {
    std::map<std::string, DestinationView> before;
    for (auto& view : h_.scheduler.Destinations(SIZE_MAX)) before[view.name] = view;
    const auto job = h_.Next();
    if (!job.has_value()) {
      NothingMayGo();
      return false;
    }
    ModelUnit* unit = Find(*job);
    if (unit == nullptr) {
      ADD_FAILURE() << "a job for nothing that is queued";
      return false;
    }
    const DestinationView& view = before[job->destination];
    EXPECT_LE(view.blocked_until_us, h_.now);
    EXPECT_LT(view.in_flight, view.window);
    EXPECT_FALSE(messages_[job->message_id].held);
    EXPECT_FALSE(unit->in_flight);
    EXPECT_LE(unit->due_us, h_.now);
    EXPECT_EQ(unit->recipients, job->recipients);
    EXPECT_EQ(unit->attempts, job->attempts);
    unit->in_flight = true;
    jobs_.push_back(*job);
    return true;
  }

  // Whatever is due has no room at its destination; or the workers' room is used up.
  void NothingMayGo() {
    if (capacity_ > 0 && jobs_.size() >= std::max<size_t>(1, capacity_ / 2)) return;
    std::map<std::string, DestinationView> views;
    for (auto& view : h_.scheduler.Destinations(SIZE_MAX)) views[view.name] = view;
    for (const auto& [id, message] : messages_) {
      for (const ModelUnit& unit : message.units) {
        if (message.held || unit.in_flight || unit.due_us > h_.now) continue;
        if (message.was_lost) continue;
        const DestinationView& view = views[unit.destination];
        EXPECT_TRUE(view.blocked_until_us > h_.now || view.in_flight >= view.window)
            << "message " << id << " to " << unit.destination << " could go";
      }
    }
  }

  void TakeOne() { Take(); }
  void TakeAll() {
    while (Take() && !::testing::Test::HasFailure()) {
    }
  }

  Job Pop(size_t index) {
    Job job = jobs_[index];
    jobs_.erase(jobs_.begin() + static_cast<ptrdiff_t>(index));
    return job;
  }

  void End(size_t index, Verdict verdict, bool defer) {
    const Job job = Pop(index);
    ModelUnit* unit = Find(job);
    std::vector<uint32_t> deferred;
    if (defer || verdict == Verdict::kUnreachable) {
      deferred = job.recipients;
      if (Random(2) == 0) deferred.resize(1);
    }
    const auto done = h_.scheduler.JobDone(job.job_id, verdict, "why", deferred, h_.now);
    ASSERT_EQ(done.known, unit != nullptr);
    if (unit == nullptr) return;
    ModelMessage& message = messages_[job.message_id];
    message.lost = 0;
    ASSERT_EQ(done.attempts, unit->attempts + 1);
    if (deferred.empty()) {
      message.units.erase(message.units.begin() + (unit - message.units.data()));
    } else {
      unit->in_flight = false;
      unit->recipients = deferred;
      ++unit->attempts;
      const int64_t wait =
          std::min<int64_t>(10 * kSecond << std::min(unit->attempts - 1, 10u), 100 * kSecond);
      unit->due_us = h_.now + wait;
    }
    ASSERT_EQ(done.finished, message.units.empty());
    if (done.finished) {
      h_.scheduler.Remove(job.message_id);
      messages_.erase(job.message_id);
    }
  }

  void Lose() {
    if (jobs_.empty()) return;
    const Job job = Pop(Random(static_cast<uint32_t>(jobs_.size())));
    ModelUnit* unit = Find(job);
    const bool poison = h_.scheduler.JobLost(job.job_id, h_.now);
    if (unit == nullptr) {
      ASSERT_FALSE(poison);
      return;
    }
    ModelMessage& message = messages_[job.message_id];
    unit->in_flight = false;
    unit->due_us = h_.now;
    message.was_lost = true;
    ++message.lost;
    ASSERT_EQ(poison, message.lost >= 3);
    if (poison) {
      message.lost = 0;
      message.held = true;
    }
  }

  uint64_t Any() {
    if (messages_.empty()) return 0;
    auto at = messages_.begin();
    std::advance(at, Random(static_cast<uint32_t>(messages_.size())));
    return at->first;
  }

  void Remove() {
    const uint64_t id = Any();
    if (id == 0 || Random(3) != 0) return;
    h_.scheduler.Remove(id);
    messages_.erase(id);
  }

  void HoldOrRelease() {
    const uint64_t id = Any();
    if (id == 0) return;
    ModelMessage& message = messages_[id];
    if (message.held) {
      ASSERT_TRUE(h_.scheduler.Release(id, h_.now));
      for (ModelUnit& unit : message.units) unit.due_us = h_.now;
    } else if (Random(2) == 0) {
      ASSERT_TRUE(h_.scheduler.Hold(id));
    } else {
      return;
    }
    message.held = !message.held;
  }

  void Flush() {
    if (Random(3) == 0) {
      const std::string name = "d" + std::to_string(Random(8));
      std::set<uint64_t> concerned;
      for (auto& [id, message] : messages_) {
        for (ModelUnit& unit : message.units) {
          if (unit.destination != name || message.held) continue;
          unit.due_us = std::min(unit.due_us, h_.now);
          if (!unit.in_flight) concerned.insert(id);
        }
      }
      ASSERT_EQ(h_.scheduler.FlushDestination(name, h_.now), concerned.size());
    } else if (const uint64_t id = Any(); id != 0) {
      ModelMessage& message = messages_[id];
      ASSERT_EQ(h_.scheduler.Flush(id, h_.now), message.held ? 0u : 1u);
      if (message.held) return;
      for (ModelUnit& unit : message.units) unit.due_us = std::min(unit.due_us, h_.now);
    }
  }

  void Compare() {
    h_.scheduler.NextWakeup(h_.now);  // what is due goes in line
    size_t held = 0;
    size_t deferred = 0;
    size_t units = 0;
    std::optional<int64_t> earliest;
    for (const auto& [id, message] : messages_) {
      held += message.held ? 1 : 0;
      bool has_job = false;
      bool waits = !message.held && !message.units.empty();
      std::optional<int64_t> due;
      for (const ModelUnit& unit : message.units) {
        has_job = has_job || unit.in_flight;
        waits = waits && !unit.in_flight && unit.due_us > h_.now;
        if (unit.in_flight || message.held) continue;
        ++units;
        if (unit.due_us > h_.now && (!earliest.has_value() || unit.due_us < *earliest))
          earliest = unit.due_us;
        if (unit.due_us > h_.now && (!due.has_value() || unit.due_us < *due)) due = unit.due_us;
      }
      const std::optional<MessageView> view = h_.scheduler.Look(id);
      ASSERT_TRUE(view.has_value());
      ASSERT_EQ(view->with_worker, has_job);
      ASSERT_EQ(view->held, message.held);
      ASSERT_EQ(view->deferred, waits);
      ASSERT_EQ(view->next_due_us, due.value_or(0));
      deferred += waits ? 1 : 0;
    }
    const SchedulerCounts counts = h_.scheduler.Counts();
    ASSERT_EQ(counts.deferred, deferred);
    ASSERT_EQ(counts.messages, messages_.size());
    ASSERT_EQ(counts.held, held);
    ASSERT_EQ(counts.in_flight, jobs_.size());
    ASSERT_EQ(counts.due + counts.waiting, units);
    if (earliest.has_value()) {
      const auto wakeup = h_.scheduler.NextWakeup();
      ASSERT_TRUE(wakeup.has_value());
      ASSERT_LE(*wakeup, *earliest);
    }
  }

  std::mt19937_64 random_;
  size_t capacity_;
  SchedulerOptions options_;
  Harness h_;
  uint64_t last_id_ = 0;
  std::map<uint64_t, ModelMessage> messages_;
  std::vector<Job> jobs_;
};

TEST(Model, AgreesWithTheReferenceForManySeeds) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Model model(seed, seed % 3 == 0 ? 1 + seed % 11 : 0);
    model.Run(400);
    if (HasFailure()) break;
    model.Finish();
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace postern::qmgr
