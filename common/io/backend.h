// common/io/backend.h — what the loop needs of io_uring or epoll.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/status.h"
#include "common/io/operation.h"

namespace postern::io {

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;

  // Begins `operation`. True if it completed at once with `*result` (epoll, often): OnCompletion is
  // then not called. Multishot operations never complete at once.
  virtual bool Start(Operation& operation, int* result) = 0;

  // Asks for an early end; the completion comes in a later turn, never from inside this call.
  virtual void Cancel(Operation& operation) = 0;

  // How many accepts (kAccept) on one descriptor may wait side by side.
  virtual size_t accepts_at_once() const { return 1; }

  // Closes a descriptor that operations were started on.
  virtual void Close(int fd) = 0;

  // A library is about to close `fd` by itself; operations on it were cancelled before.
  virtual void Forget(int) {}

  // Whether the next wait is a short one unless something happens: what was just submitted is as
  // good as done.
  virtual bool brief() const { return false; }

  // Waits until something completed or `timeout_ns` has passed (negative: no limit), and calls
  // OnCompletion for all that did.
  virtual absl::Status Wait(int64_t timeout_ns) = 0;

  // The memory of provided buffer `id`, and giving it back.
  virtual char* BufferAt(uint32_t id) = 0;
  virtual void ReturnBuffer(uint32_t id) = 0;

  // The ring's index for io_uring_enter with IORING_ENTER_REGISTERED_RING; -1 without a ring.
  virtual int registered_ring_index() const { return -1; }

  // Operations begun and not completed yet.
  virtual size_t pending() const { return 0; }
  // System calls made to submit and to wait, of which a turn shall have one.
  virtual uint64_t kernel_entries() const { return 0; }

  virtual int64_t NowNanoseconds() const = 0;
  virtual int64_t WallNanoseconds() const = 0;
};

}  // namespace postern::io
