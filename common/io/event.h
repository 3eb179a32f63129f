// common/io/event.h — waiting for something that another task of this process does.
#pragma once

#include "common/base/status.h"
#include "common/io/loop.h"
#include "common/io/operation.h"
#include "common/io/task.h"

namespace postern::io {

// A flag that tasks wait for. Set wakes all of them and stays set until Reset.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  ~Event() { CHECK(!waiters_.linked()); }

  bool is_set() const { return set_; }
  void Set() {
    set_ = true;
    Wake();
  }
  void Reset() { set_ = false; }
  // Wakes those who wait now; does not stay set.
  void Wake() {
    while (waiters_.linked()) {
      Operation* waiter = static_cast<WaitLink*>(waiters_.next())->operation;
      waiter->loop->Finish(*waiter, 0);
    }
  }

  // 0 once set (or woken); -ECANCELED, -ETIME as for every operation.
  class [[nodiscard]] Awaiter : public OperationAwaiter {
   public:
    Awaiter(Event& event, Deadline until)
        : OperationAwaiter(Loop::Current(), OpCode::kWait, until), event_(event) {}
    bool await_ready() const noexcept { return event_.set_; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiter) {
      if (!OperationAwaiter::await_suspend(waiter)) return false;
      wait_link.LinkBefore(event_.waiters_);
      return true;
    }
    // OK, kCancelled or kDeadlineExceeded.
    absl::Status await_resume() const;

   private:
    Event& event_;
  };
  Awaiter Wait(Deadline until) { return Awaiter(*this, until); }

 private:
  bool set_ = false;
  ListNode waiters_;
};

// `co_await Sleep(deadline)`: OK when the moment has come, kCancelled after a stop request.
class [[nodiscard]] Sleep : public OperationAwaiter {
 public:
  explicit Sleep(Deadline until) : OperationAwaiter(Loop::Current(), OpCode::kWait, until) {}
  absl::Status await_resume() const;
};

// `co_await YieldTurn()`: lets everything else that is ready run first.
struct YieldTurn {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const { Loop::Current().Schedule(waiter); }
  void await_resume() const noexcept {}
};

// `co_await StopRequested()`: whether the task's scope was asked to stop.
class StopRequested {
 public:
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiter) {
    const StopState* stop = waiter.promise().stop();
    requested_ = stop != nullptr && stop->requested();
    return false;
  }
  bool await_resume() const noexcept { return requested_; }

 private:
  bool requested_ = false;
};

}  // namespace postern::io
