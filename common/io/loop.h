// common/io/loop.h — the event loop: one a process, one thread.
//
// A turn: run all coroutines that can run, let channels and the log put out what gathered
// (AtTurnEnd), then one wait for the kernel, in which everything submitted goes in and everything
// completed comes out (one io_uring_enter). Backends: io_uring, epoll, and a fake one with a clock
// of its own for tests.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/io/backend.h"
#include "common/io/deadline.h"
#include "common/io/operation.h"
#include "common/io/task.h"

struct io_uring;

namespace postern::io {

enum class BackendKind { kAuto, kUring, kEpoll };

struct LoopOptions {
  BackendKind backend = BackendKind::kAuto;
  unsigned ring_entries = 1024;
  // Buffers shared by all receiving connections, so that an idle one owns none. 0: no connections.
  uint32_t buffer_octets = 16384;
  uint32_t buffer_count = 0;  // a power of two, at most 32768
  // io_uring only, while the ring is still disabled: registers the restrictions. The ring is
  // enabled afterwards, its descriptor closed, and only the registered index remains.
  std::function<absl::Status(int ring_fd)> restrict_ring;
  // io_uring only: send by WRITE (sandbox::Profile::sends_by_writing). A peer that is gone then
  // raises SIGPIPE, which the process must ignore.
  bool send_by_writing = false;
  // For confine-probe, which must show that the restrictions stop something, and submits what no
  // loop would. An open ring is used although it obeys; `ring` gets the ring itself, null on epoll.
  bool ring_left_open = false;
  io_uring** ring = nullptr;
};

// Told at the end of each turn in which it asked for that.
class TurnEndHook : public ListNode {
 public:
  virtual void OnTurnEnd() = 0;

 protected:
  ~TurnEndHook() = default;
};

class Loop final : private internal::FinishedHook {
 public:
  // kAuto takes epoll where the kernel or a container refuses io_uring; why_epoll() says why.
  // Errors: kFailedPrecondition  the backend asked for is not to be had
  static absl::StatusOr<std::unique_ptr<Loop>> Create(const LoopOptions& options);
  // On a backend of a test.
  explicit Loop(std::unique_ptr<Backend> backend);
  ~Loop();
  Loop(const Loop&) = delete;

  // The loop of this thread.
  static Loop& Current();

  std::string_view backend_name() const { return backend_->name(); }
  const std::string& why_epoll() const { return why_epoll_; }
  int registered_ring_index() const { return backend_->registered_ring_index(); }

  // Runs `root` until it is done, and returns what it returned. Tasks it left in scopes are its
  // bug.
  absl::Status Run(Task<absl::Status> root);
  // Asks the root task, and so everything in it, to stop.
  void RequestStop() { root_stop_.Request(); }

  // Monotonic; taken once a turn.
  Deadline Now() const { return Deadline::AtNanoseconds(now_ns_); }
  Deadline After(absl::Duration duration) const { return Now() + duration; }
  absl::Time WallTime() const { return absl::FromUnixNanos(backend_->WallNanoseconds()); }

  // The rest is for what stands on the loop: awaiters, sockets, channels.
  void Schedule(std::coroutine_handle<> ready) { ready_.push_back(ready); }
  // Destroys a finished frame before the next one runs, and calls `done` then.
  void Reap(std::coroutine_handle<> frame, std::function<void()> done);
  void AtTurnEnd(TurnEndHook& hook) { hook.LinkBefore(turn_end_hooks_); }
  // Called before every wait; the log flushes here. `brief`: another wait follows within a few
  // milliseconds.
  void BeforeWait(std::function<void(bool brief)> callback) {
    before_wait_.push_back(std::move(callback));
  }

  // True if the operation completed at once with `*result`.
  bool Start(Operation& operation, int* result);
  void StartMultishot(Operation& operation);
  // Cancels with a cause. OnCompletion follows in a later turn; for kWait it is called here.
  void Cancel(Operation& operation, Operation::Ended cause);
  // Completes a kWait operation from outside.
  void Finish(Operation& operation, int result);
  void AddTimer(Operation& operation, Deadline due);
  void RemoveTimer(Operation& operation) {
    if (operation.in_heap()) timers_.Remove(operation);
  }
  size_t accepts_at_once() const { return backend_->accepts_at_once(); }
  void Close(int fd) { backend_->Close(fd); }
  // For a descriptor that a library closes by itself: its number may come back as another socket.
  // All operations on it must have been cancelled.
  void Forget(int fd) { backend_->Forget(fd); }
  char* BufferAt(uint32_t id) { return backend_->BufferAt(id); }
  // A receiver that got a buffer of the loop says so, and gives it back when it was read.
  void TookBuffer() { ++counters_.buffers_held; }
  void ReturnBuffer(uint32_t id);
  // Receivers that found no buffer wait here for one to come back.
  void WaitForBuffer(Operation& operation);

  struct Counters {
    uint64_t turns = 0;
    uint64_t operations = 0;
    uint64_t completions = 0;
    uint64_t buffers_held = 0;  // now, by all receivers together
  };
  Counters& counters() { return counters_; }
  uint64_t kernel_entries() const { return backend_->kernel_entries(); }
  size_t pending() const { return backend_->pending(); }

 private:
  void OnFinished(std::coroutine_handle<> frame) override;
  void RunReady();
  void EndTurn();
  void FireTimers();
  void FeedStarved();
  int64_t WaitLimit() const;

  std::unique_ptr<Backend> backend_;
  std::string why_epoll_;
  int64_t now_ns_ = 0;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;
  std::vector<std::pair<std::coroutine_handle<>, std::function<void()>>> to_reap_;
  TimerHeap timers_;
  ListNode turn_end_hooks_;
  ListNode starved_;
  bool feed_starved_ = false;
  std::vector<std::function<void(bool)>> before_wait_;
  StopState root_stop_;
  bool root_done_ = false;
  Counters counters_;
};

}  // namespace postern::io
