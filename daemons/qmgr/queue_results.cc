// What became of jobs.
#include <algorithm>
#include <utility>

#include "common/base/queue_id.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

namespace delivery = protocol::delivery;

Queue::Outcomes Queue::Sort(const QueuedMessage& message, const Job& job, Results results,
                            const std::string& reason) {
  Outcomes outcomes;
  size_t unknown = 0;
  for (const uint32_t index : job.recipients) {
    if (message.done.Has(index)) continue;
    const auto found =
        std::find_if(results.begin(), results.end(),
                     [index](const delivery::Result& one) { return one.index == index; });
    delivery::Result result;
    if (found != results.end()) {
      result = std::move(*found);
    } else {
      result.diagnostic = reason.empty() ? "the delivery process gave no result" : reason;
      result.status = "4.3.0";
      ++unknown;
    }
    result.index = index;
    switch (result.outcome) {
      case delivery::Outcome::kDelivered:
      case delivery::Outcome::kRelayed:
        outcomes.succeeded.push_back(std::move(result));
        break;
      case delivery::Outcome::kFailed:
        outcomes.failed.push_back(std::move(result));
        break;
      case delivery::Outcome::kDeferred:
        outcomes.deferred.push_back(std::move(result));
        break;
    }
  }
  // The worker tells of its own results; of these nobody else does.
  if (unknown > 0) {
    log::Event(log::Severity::kNotice, log::kMessageDeferred)
        .Id(QueueId(message.id))
        .Int("recipients", unknown)
        .Str("status", "4.3.0")
        .Str("reason", reason.empty() ? "the delivery process gave no result" : reason);
  }
  return outcomes;
}

bool Queue::WantsNotice(const QueuedMessage& message, const Outcomes& outcomes,
                        Transport transport) {
  if (!outcomes.failed.empty()) return true;
  return message.wants_success &&
         std::any_of(outcomes.succeeded.begin(), outcomes.succeeded.end(),
                     [transport](const delivery::Result& result) {
                       return transport == Transport::kLocal ||
                              result.outcome == delivery::Outcome::kRelayed;
                     });
}

void Queue::LogChange(const Job& job, Scheduler::Change change, const std::string& reason) {
  if (change == Scheduler::Change::kNone) return;
  const bool down = change == Scheduler::Change::kDown;
  log::Event event(log::Severity::kNotice, log::kQueueDestination);
  event.Str("next_hop", job.destination).Str("state", down ? "unreachable" : "answers");
  if (down) event.Str("reason", reason);
}

void Queue::Finish(const Job& job, Results results, Verdict verdict, const std::string& reason) {
  changed_.Wake();
  QueuedMessage* message = Find(job.message_id);
  if (message == nullptr) {
    LogChange(job, scheduler_.JobDone(job.job_id, verdict, reason, {}, NowUs()).change, reason);
    return;
  }
  const Transport transport = job.route == Route::kLocal ? Transport::kLocal : Transport::kRemote;
  Outcomes outcomes = Sort(*message, job, std::move(results), reason);
  std::vector<uint32_t> again;
  for (const delivery::Result& result : outcomes.deferred) again.push_back(result.index);
  const Scheduler::Done done =
      scheduler_.JobDone(job.job_id, verdict, reason, std::move(again), NowUs());
  LogChange(job, done.change, reason);
  message->attempts = std::max(message->attempts, done.attempts);
  MarkDone(*message, outcomes.succeeded);
  if (message->stranded && !message->held()) {
    ++message->busy;
    work_.Spawn(Reschedule(job.message_id));
  }
  const bool tell = WantsNotice(*message, outcomes, transport);
  // While a notice waits, a crash must not undo what was delivered.
  if ((message->left > 0 || tell) && !(outcomes.succeeded.empty() && outcomes.deferred.empty()))
    AppendAttempt(*message, {&outcomes.succeeded, &outcomes.deferred});
  if (tell) {
    TellLater(*message, {.what = Telling::What::kResults,
                         .transport = transport,
                         .failed = std::move(outcomes.failed),
                         .succeeded = std::move(outcomes.succeeded)});
    StartTellings();
  } else {
    RemoveIfDone(job.message_id);
  }
}

void Queue::MarkDone(QueuedMessage& message, const Results& results) {
  for (const delivery::Result& result : results) {
    if (message.done.Has(result.index)) continue;
    message.done.Add(result.index);
    --message.left;
  }
}

void Queue::AppendAttempt(const QueuedMessage& message, std::vector<const Results*> results) {
  AttemptRecord attempt;
  attempt.attempts = message.attempts;
  attempt.at_us = WallUs();
  attempt.delay_notified = message.delay_notified;
  if (const auto view = scheduler_.Look(message.id); view.has_value())
    attempt.next_attempt_us = ToWallUs(view->next_due_us);
  for (const Results* some : results) {
    for (const delivery::Result& result : *some) {
      attempt.recipients.push_back({.index = result.index,
                                    .done = message.done.Has(result.index),
                                    .status = result.status,
                                    .diagnostic = result.diagnostic,
                                    .remote_words = result.remote_words,
                                    .remote = result.remote});
    }
  }
  store_.Append(RecordType::kAttempt, message.id, attempt);
}

void Queue::Regroup(const Job& job, const MessageRecord& record) {
  changed_.Wake();
  scheduler_.JobDone(job.job_id, Verdict::kHealthy, "", job.recipients, NowUs());
  QueuedMessage* message = Find(job.message_id);
  if (message == nullptr) return;
  const auto view = scheduler_.Look(message->id);
  if (message->held() || (view.has_value() && view->with_worker)) {
    message->stranded = true;  // a recipient must not go out twice
    return;
  }
  scheduler_.Remove(message->id);
  Schedule(*message, record, 0);
}

void Queue::NotBegun(const Job& job) {
  scheduler_.JobNotBegun(job.job_id, NowUs());
  changed_.Wake();
}

void Queue::Lost(const Job& job) {
  const bool poison = scheduler_.JobLost(job.job_id, NowUs());
  changed_.Wake();
  if (Find(job.message_id) == nullptr) return;
  if (!poison) {
    LogAct(log::Severity::kNotice, log::kMessageRequeued, job.message_id,
           "the delivery process went away with it", {});
    return;
  }
  Hold(job.message_id, "three delivery processes died with this message", {});
}

}  // namespace postern::qmgr
