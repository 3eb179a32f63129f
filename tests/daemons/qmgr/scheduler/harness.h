// tests/daemons/qmgr/scheduler/harness.h — a scheduler with a clock of its own and short ways to
// say what happens to it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daemons/qmgr/scheduler/scheduler.h"

namespace postern::qmgr {

inline constexpr int64_t kSecond = 1'000'000;
inline constexpr int64_t kMinute = 60 * kSecond;
inline constexpr int64_t kHour = 60 * kMinute;
inline constexpr int64_t kDay = 24 * kHour;

struct Harness {
  explicit Harness(SchedulerOptions options = {}) : scheduler(options) {}

  void Add(uint64_t id, const std::string& sender, const std::string& destination,
           uint32_t attempts = 0, int64_t due_us = 0, Origin origin = {}) {
    scheduler.Add(id, sender, {{.destination = destination, .recipients = {0}}}, attempts, due_us,
                  now, origin);
  }
  std::optional<Job> Next(Route route = Route::kRemote) { return scheduler.Next(route, now); }
  // All that may go now.
  std::vector<Job> Drain() {
    std::vector<Job> jobs;
    for (auto job = Next(); job.has_value(); job = Next()) jobs.push_back(*std::move(job));
    return jobs;
  }
  Scheduler::Done Delivered(const Job& job) {
    return scheduler.JobDone(job.job_id, Verdict::kHealthy, "", {}, now);
  }
  Scheduler::Done Deferred(const Job& job, Verdict verdict = Verdict::kHealthy) {
    return scheduler.JobDone(job.job_id, verdict, "451 later", job.recipients, now);
  }
  DestinationView View(const std::string& name) const {
    for (DestinationView& view : scheduler.Destinations(SIZE_MAX)) {
      if (view.name == name) return std::move(view);
    }
    return {};
  }

  Scheduler scheduler;
  int64_t now = 1000 * kSecond;
};

}  // namespace postern::qmgr
