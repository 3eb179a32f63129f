// common/io/operation.h — one thing asked of the kernel (or of time), from start to completion.
//
// An Operation lives where its awaiter lives (a coroutine frame, a channel), and the kernel may use
// the buffers it names until it completes: so it must stay in place until then. Cancelling asks;
// the completion still comes. Both backends read the same description.
#pragma once

#include <linux/stat.h>
#include <sys/socket.h>

#include <coroutine>
#include <cstdint>

#include "common/io/deadline.h"
#include "common/io/list.h"
#include "common/io/stop.h"
#include "common/io/timer_heap.h"

struct open_how;

namespace postern::io {

class Loop;

enum class OpCode : uint8_t {
  kWait,  // nothing for the kernel: ends by Loop::Finish, deadline or stop
  kAccept,
  kAcceptMultishot,
  kConnect,
  kReceive,
  kReceiveMultishot,  // into buffers of the loop
  kSend,
  kReceiveMessage,
  kSendMessage,
  kPoll,
  kRead,
  kWrite,
  kFsync,
  kFdatasync,
  kOpenAt,
  kRenameAt,
  kLinkAt,
  kUnlinkAt,
};

struct Operation;

// Where an accept puts the address of the other end.
struct AcceptedPeer {
  sockaddr_storage address;
  socklen_t length;
};

// An operation's place in the list of what it waits for.
struct WaitLink : ListNode {
  explicit WaitLink(Operation* waiting) : operation(waiting) {}
  Operation* const operation;
};

struct Operation : TimerNode, StopWaiter {
  enum class Ended : uint8_t { kNo, kByItself, kDeadline, kStop };

  Operation() = default;
  explicit Operation(OpCode op) : code(op) {}
  virtual ~Operation() = default;

  // Called by the loop, once for an ordinary operation, once a result for a multishot one. `more`:
  // further completions will follow.
  virtual void OnCompletion(int result, uint32_t buffer_id, bool more) = 0;

  void OnStopRequested() final;

  // What to do. Which fields count depends on `code`, as in the system call of that name.
  OpCode code = OpCode::kWait;
  bool started = false;  // between Start and the last completion
  bool cancel_sent = false;
  bool polling = false;    // io_uring: waits for readiness, to be begun anew then
  bool link_next = false;  // io_uring: the next operation started begins only after this one
  Ended cancelled_by = Ended::kNo;
  int fd = -1;
  int flags = 0;               // MSG_*, poll events, rename or unlink flags
  void* buffer = nullptr;      // also msghdr*, sockaddr*, AcceptedPeer* (kAccept; may be null)
  uint32_t length = 0;         // also the address length
  uint64_t offset = 0;         // file operations
  const char* path = nullptr;  // openat, unlinkat, old path
  const char* new_path = nullptr;
  int new_fd = -1;  // directory of new_path
  const open_how* how = nullptr;
  Loop* loop = nullptr;
  WaitLink wait_link{this};  // the event it waits for, or the line for a buffer
};

// The awaiter of an ordinary operation: `int result = co_await awaiter`, a value >= 0 or -errno;
// -ECANCELED after a stop request, -ETIME when the deadline passed first.
class [[nodiscard]] OperationAwaiter : public Operation {
 public:
  OperationAwaiter(Loop& on_loop, OpCode op, Deadline until) : Operation(op), deadline_(until) {
    loop = &on_loop;
  }

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiter) {
    waiter_ = waiter;
    return Begin(waiter.promise().stop());
  }
  int await_resume() const noexcept { return result_; }

  void OnCompletion(int result, uint32_t buffer_id, bool more) override;

 private:
  // Starts the operation; false if it has its result already.
  bool Begin(StopState* stop);

  Deadline deadline_;
  std::coroutine_handle<> waiter_;
  int result_ = 0;
};

}  // namespace postern::io
