// common/io/task.h — Task<T>: a lazy coroutine that is awaited exactly once.
//
// A task runs when it is awaited and gives its result to the awaiter by symmetric transfer. It
// inherits the awaiter's stop request. Await it in the expression that makes it, or hand it to a
// TaskScope; a task that is never started does nothing. Frames come from FramePool.
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/io/frame_pool.h"
#include "common/io/stop.h"

namespace postern::io {

class TaskScope;

namespace internal {

// Told when a task that nobody awaits (one handed to a scope) has finished.
class FinishedHook {
 public:
  virtual void OnFinished(std::coroutine_handle<> frame) = 0;

 protected:
  ~FinishedHook() = default;
};

class PromiseBase {
 public:
  static void* operator new(size_t octets) { return FramePool::Allocate(octets); }
  static void operator delete(void* frame, size_t octets) { FramePool::Free(frame, octets); }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> frame) const noexcept {
      PromiseBase& promise = frame.promise();
      if (promise.continuation_) return promise.continuation_;
      if (promise.hook_ != nullptr) promise.hook_->OnFinished(frame);
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept {
    CheckFailed(__FILE__, __LINE__, "an exception in a coroutine");
  }

  StopState* stop() const { return stop_; }
  void set_stop(StopState* stop) { stop_ = stop; }
  void set_continuation(std::coroutine_handle<> continuation) { continuation_ = continuation; }
  void set_hook(FinishedHook* hook) { hook_ = hook; }

 private:
  std::coroutine_handle<> continuation_;
  StopState* stop_ = nullptr;
  FinishedHook* hook_ = nullptr;
};

template <class T>
class Promise;

}  // namespace internal

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;

  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (frame_) frame_.destroy();
  }

  class Awaiter {
   public:
    explicit Awaiter(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      frame_.promise().set_continuation(awaiting);
      frame_.promise().set_stop(awaiting.promise().stop());
      return frame_;
    }
    T await_resume() { return frame_.promise().Take(); }

   private:
    std::coroutine_handle<promise_type> frame_;
  };
  Awaiter operator co_await() && {
    CHECK(frame_ && !frame_.done());
    return Awaiter(frame_);
  }

  // For TaskScope and the loop: the frame, which the caller now owns.
  std::coroutine_handle<promise_type> Release() { return std::exchange(frame_, nullptr); }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

namespace internal {

template <class T>
class Promise final : public PromiseBase {
 public:
  Task<T> get_return_object() {
    return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
  }
  template <class U>
  void return_value(U&& value) {
    result_.emplace(std::forward<U>(value));
  }
  T Take() { return *std::move(result_); }

 private:
  std::optional<T> result_;
};

template <>
class Promise<void> final : public PromiseBase {
 public:
  Task<void> get_return_object() {
    return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
  }
  void return_void() const {}
  void Take() const {}
};

}  // namespace internal
}  // namespace postern::io
