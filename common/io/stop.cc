#include "common/io/stop.h"

namespace postern::io {

void StopState::Request() {
  if (requested_) return;
  requested_ = true;
  while (waiters_.linked()) {
    auto* waiter = static_cast<StopWaiter*>(waiters_.next());
    waiter->Unlink();
    waiter->OnStopRequested();
  }
}

void StopState::FollowParent(StopState& parent) {
  if (parent.requested()) {
    Request();
  } else {
    parent.Add(*this);
  }
}

}  // namespace postern::io
