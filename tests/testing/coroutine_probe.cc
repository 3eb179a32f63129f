// Exit status 0 when the compiler destroys an aggregate temporary of a co_await expression exactly
// once. g++ 12 destroys it twice (once in the frame, once as the parameter it was copied into).
#include <coroutine>
#include <cstdio>
#include <utility>

namespace {

int alive = 0;

struct Counted {
  Counted() { ++alive; }
  Counted(const Counted&) { ++alive; }
  Counted(Counted&&) noexcept { ++alive; }
  ~Counted() { --alive; }
};

struct Aggregate {
  Counted counted;
  int value = 0;
};

struct Task {
  struct promise_type {
    std::coroutine_handle<> continuation;
    Task get_return_object() {
      return Task{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct Final {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
        return self.promise().continuation ? self.promise().continuation : std::noop_coroutine();
      }
      void await_resume() noexcept {}
    };
    Final final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
  std::coroutine_handle<promise_type> handle;
  explicit Task(std::coroutine_handle<promise_type> h) : handle(h) {}
  Task(Task&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~Task() {
    if (handle) handle.destroy();
  }
  bool await_ready() { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) {
    handle.promise().continuation = awaiting;
    return handle;
  }
  void await_resume() {}
};

Task Take(Aggregate aggregate) {
  (void)aggregate.value;
  co_return;
}

Task Run() {
  co_await Take(Aggregate{Counted(), 1});
  co_await Take(Aggregate{.counted = {}, .value = 2});
}

}  // namespace

int main() {
  {
    Task task = Run();
    task.handle.resume();
  }
  if (alive != 0) std::fprintf(stderr, "temporaries alive after all is done: %d\n", alive);
  return alive == 0 ? 0 : 1;
}
