#include "common/io/scope.h"

namespace postern::io {
namespace {

// Gives the stop request of the awaiting task.
class ParentStop {
 public:
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiter) {
    stop_ = waiter.promise().stop();
    return false;
  }
  StopState* await_resume() const noexcept { return stop_; }

 private:
  StopState* stop_ = nullptr;
};

// Waits for the event whatever is requested meanwhile: joining is never cut short.
class Uncancellable : public Event::Awaiter {
 public:
  explicit Uncancellable(Event& event) : Event::Awaiter(event, Deadline::Never()) {}
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiter) {
    StopState* stop = waiter.promise().stop();
    waiter.promise().set_stop(nullptr);
    const bool suspended = Event::Awaiter::await_suspend(waiter);
    waiter.promise().set_stop(stop);
    return suspended;
  }
};

}  // namespace

void TaskScope::Spawn(Task<absl::Status> task) {
  auto frame = task.Release();
  frame.promise().set_stop(&stop_);
  frame.promise().set_hook(this);
  ++running_;
  Loop::Current().Schedule(frame);
}

Task<absl::Status> TaskScope::Watch(Task<void> task) {
  co_await std::move(task);
  co_return absl::OkStatus();
}

void TaskScope::Spawn(Task<void> task) { Spawn(Watch(std::move(task))); }

void TaskScope::OnFinished(std::coroutine_handle<> frame) {
  using Frame = std::coroutine_handle<internal::Promise<absl::Status>>;
  Note(Frame::from_address(frame.address()).promise().Take());
  // The frame is left to the loop: it cannot be destroyed from inside its own last step.
  Loop::Current().Reap(frame, [this] {
    --running_;
    changed_.Wake();
  });
}

void TaskScope::Note(const absl::Status& status) {
  if (status.ok() || absl::IsCancelled(status)) return;
  if (first_failure_.ok()) first_failure_ = status;
  if (cancel_on_failure_) RequestStop();
}

Task<void> TaskScope::Join() {
  StopState* parent = co_await ParentStop();
  if (parent != nullptr) stop_.FollowParent(*parent);
  while (running_ > 0) IgnoreStatus(co_await Uncancellable(changed_), "cannot be cancelled");
  stop_.Unlink();
}

Task<absl::Status> TaskScope::JoinOrCancel() {
  cancel_on_failure_ = true;
  if (!first_failure_.ok()) RequestStop();
  co_await Join();
  co_return first_failure_;
}

Task<absl::Status> TaskScope::WaitBelow(size_t limit, Deadline until) {
  while (running_ >= limit) CO_RETURN_IF_ERROR(co_await changed_.Wait(until));
  co_return absl::OkStatus();
}

}  // namespace postern::io
