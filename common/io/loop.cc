#include "common/io/loop.h"

#include <cerrno>
#include <optional>

#include "common/io/epoll_backend.h"
#include "common/io/uring_backend.h"

namespace postern::io {
namespace {

// Coroutines that keep making each other ready shall not keep the kernel waiting: so often in a
// turn does one thing lead to the next.
constexpr int kMaxRoundsPerTurn = 64;
// In ~Loop: how long cancelled operations may take to complete, one millisecond each.
constexpr int kMaxFarewellTurns = 1000;

thread_local Loop* current_loop = nullptr;

// The one place where a task is started from outside: its frame, held until the loop ends.
class Root final {
 public:
  explicit Root(Task<absl::Status> task) : frame_(task.Release()) {}
  ~Root() { frame_.destroy(); }
  std::coroutine_handle<Task<absl::Status>::promise_type> frame() const { return frame_; }

 private:
  std::coroutine_handle<Task<absl::Status>::promise_type> frame_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Loop>> Loop::Create(const LoopOptions& options) {
  std::string why_epoll;
  if (options.backend != BackendKind::kEpoll) {
    absl::StatusOr<std::unique_ptr<Backend>> uring = MakeUringBackend(options);
    if (uring.ok()) return std::make_unique<Loop>(*std::move(uring));
    // A ring that could not be restricted is no reason to go on without: only absence is.
    if (options.backend == BackendKind::kUring ||
        uring.status().code() != absl::StatusCode::kFailedPrecondition) {
      return uring.status();
    }
    why_epoll = std::string(Message(uring.status()));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Backend> epoll, MakeEpollBackend(options));
  auto loop = std::make_unique<Loop>(std::move(epoll));
  loop->why_epoll_ = std::move(why_epoll);
  return loop;
}

Loop::Loop(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {
  current_loop = this;
  now_ns_ = backend_->NowNanoseconds();
}

Loop::~Loop() {
  // Receives of sockets that were closed may still be under way: their buffers are the backend's,
  // their memory waits for the last completion.
  for (int turn = 0; turn < 3 || (backend_->pending() > 0 && turn < kMaxFarewellTurns); ++turn) {
    RunReady();
    if (!backend_->Wait(turn < 3 ? 0 : 1'000'000).ok()) break;
  }
  if (current_loop == this) current_loop = nullptr;
}

Loop& Loop::Current() {
  CHECK(current_loop != nullptr);
  return *current_loop;
}

absl::Status Loop::Run(Task<absl::Status> root) {
  current_loop = this;
  Root held(std::move(root));
  root_done_ = false;
  held.frame().promise().set_stop(&root_stop_);
  held.frame().promise().set_hook(this);
  Schedule(held.frame());
  for (;;) {
    now_ns_ = backend_->NowNanoseconds();
    FireTimers();
    RunReady();
    EndTurn();
    if (root_done_) break;
    // Before the wait: what came back in this turn may be all that a starved receiver waits for.
    FeedStarved();
    RETURN_IF_ERROR(backend_->Wait(WaitLimit()));
    ++counters_.turns;
  }
  return held.frame().promise().Take();
}

void Loop::OnFinished(std::coroutine_handle<>) { root_done_ = true; }

void Loop::RunReady() {
  for (int round = 0; round < kMaxRoundsPerTurn; ++round) {
    if (ready_.empty() && to_reap_.empty()) return;
    running_.swap(ready_);
    for (const std::coroutine_handle<> frame : running_) frame.resume();
    running_.clear();
    while (!to_reap_.empty()) {
      auto [frame, done] = std::move(to_reap_.back());
      to_reap_.pop_back();
      frame.destroy();
      done();
    }
  }
}

// Hooks may make coroutines ready (an inline completion) and coroutines may ask for hooks again.
void Loop::EndTurn() {
  while (turn_end_hooks_.linked()) {
    while (turn_end_hooks_.linked()) {
      auto* hook = static_cast<TurnEndHook*>(turn_end_hooks_.next());
      hook->Unlink();
      hook->OnTurnEnd();
    }
    RunReady();
  }
  for (const std::function<void(bool)>& callback : before_wait_) callback(backend_->brief());
}

void Loop::FireTimers() {
  while (!timers_.empty() && timers_.nearest()->due_nanoseconds <= now_ns_) {
    auto* operation = static_cast<Operation*>(timers_.nearest());
    timers_.Remove(*operation);
    Cancel(*operation, Operation::Ended::kDeadline);
  }
}

int64_t Loop::WaitLimit() const {
  if (!ready_.empty()) return 0;
  if (timers_.empty()) return -1;
  const int64_t left = timers_.nearest()->due_nanoseconds - backend_->NowNanoseconds();
  return left < 0 ? 0 : left;
}

void Loop::Reap(std::coroutine_handle<> frame, std::function<void()> done) {
  to_reap_.emplace_back(frame, std::move(done));
}

bool Loop::Start(Operation& operation, int* result) {
  operation.loop = this;
  operation.cancel_sent = false;
  operation.cancelled_by = Operation::Ended::kNo;
  operation.started = true;
  ++counters_.operations;
  if (operation.code == OpCode::kWait) return false;
  if (!backend_->Start(operation, result)) return false;
  operation.started = false;
  ++counters_.completions;
  return true;
}

void Loop::StartMultishot(Operation& operation) {
  int unused;
  CHECK(!Start(operation, &unused));
}

void Loop::Cancel(Operation& operation, Operation::Ended cause) {
  if (!operation.started || operation.cancel_sent) return;
  operation.cancel_sent = true;
  operation.cancelled_by = cause;
  if (operation.code == OpCode::kWait) {
    Finish(operation, -ECANCELED);
  } else {
    backend_->Cancel(operation);
  }
}

void Loop::Finish(Operation& operation, int result) {
  CHECK(operation.started && operation.code == OpCode::kWait);
  operation.started = false;
  operation.wait_link.Unlink();
  ++counters_.completions;
  operation.OnCompletion(result, 0, false);
}

void Loop::AddTimer(Operation& operation, Deadline due) {
  operation.due_nanoseconds = due.nanoseconds();
  timers_.Add(operation);
}

void Loop::ReturnBuffer(uint32_t id) {
  backend_->ReturnBuffer(id);
  CHECK(counters_.buffers_held > 0);
  --counters_.buffers_held;
  feed_starved_ = true;
}

void Loop::WaitForBuffer(Operation& operation) {
  operation.wait_link.LinkBefore(starved_);
  // All came back before the kernel's word that there was none reached us: nothing will come again.
  if (counters_.buffers_held == 0) feed_starved_ = true;
}

void Loop::FeedStarved() {
  if (!feed_starved_) return;
  feed_starved_ = false;
  while (starved_.linked()) {
    auto* link = static_cast<WaitLink*>(starved_.next());
    link->Unlink();
    StartMultishot(*link->operation);
  }
}

}  // namespace postern::io
