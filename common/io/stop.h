// common/io/stop.h — asking a tree of tasks to end.
//
// A stop request is a wish, not a kill: the operations under way are cancelled and return
// kCancelled when the kernel has let go of their buffers; the tasks unwind by themselves.
#pragma once

#include "common/io/list.h"

namespace postern::io {

class StopState;

// Something that is told of a stop request once.
class StopWaiter : public ListNode {
 public:
  // Called while the request is made; may unlink itself and others.
  virtual void OnStopRequested() = 0;

 protected:
  ~StopWaiter() = default;
};

// The stop request of one scope; every task in it points here. Linked to the scope around it: a
// request there reaches here.
class StopState final : public StopWaiter {
 public:
  StopState() = default;
  ~StopState() = default;

  bool requested() const { return requested_; }
  void Request();
  // From now on a request at `parent` (also one already made) is one here.
  void FollowParent(StopState& parent);
  void Add(StopWaiter& waiter) { waiter.LinkBefore(waiters_); }
  void OnStopRequested() override { Request(); }

 private:
  bool requested_ = false;
  ListNode waiters_;
};

}  // namespace postern::io
