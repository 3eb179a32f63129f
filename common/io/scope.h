// common/io/scope.h — TaskScope: children that never outlive the block which began them.
#pragma once

#include <functional>
#include <utility>

#include "common/base/status.h"
#include "common/io/event.h"
#include "common/io/loop.h"
#include "common/io/task.h"

namespace postern::io {

// Owns running tasks. Before it dies it must be joined: `co_await scope.Join()` waits for all of
// them; `JoinOrCancel()` also asks the rest to stop as soon as one fails. A stop request of the
// task that joins reaches the children. A scope that dies with children running is a bug (CHECK).
class TaskScope final : private internal::FinishedHook {
 public:
  TaskScope() = default;
  TaskScope(const TaskScope&) = delete;
  ~TaskScope() { CHECK(running_ == 0); }

  // Starts `task` when control next returns to the loop. What it refers to must outlive the scope.
  // Its failure is kept (the first one) for JoinOrCancel; a cancelled task has not failed.
  void Spawn(Task<absl::Status> task);
  void Spawn(Task<void> task);

  void RequestStop() { stop_.Request(); }
  bool stop_requested() const { return stop_.requested(); }
  size_t running() const { return running_; }

  // Waits for all children, also those spawned meanwhile.
  Task<void> Join();
  // The same; the first failure stops the others and is returned.
  Task<absl::Status> JoinOrCancel();
  // Waits until fewer than `limit` children run; OK, kCancelled or kDeadlineExceeded.
  Task<absl::Status> WaitBelow(size_t limit, Deadline until);

 private:
  void OnFinished(std::coroutine_handle<> frame) override;
  Task<absl::Status> Watch(Task<void> task);
  void Note(const absl::Status& status);

  StopState stop_;
  size_t running_ = 0;
  bool cancel_on_failure_ = false;
  absl::Status first_failure_;
  Event changed_;
};

}  // namespace postern::io
