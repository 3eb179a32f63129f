#include "common/io/operation.h"

#include <cerrno>

#include "common/io/loop.h"

namespace postern::io {

void Operation::OnStopRequested() {
  if (started) loop->Cancel(*this, Ended::kStop);
}

bool OperationAwaiter::Begin(StopState* stop) {
  if (stop != nullptr && stop->requested()) {
    result_ = -ECANCELED;
    return false;
  }
  if (deadline_ <= loop->Now()) {
    result_ = -ETIME;
    return false;
  }
  if (loop->Start(*this, &result_)) return false;
  if (!deadline_.never()) loop->AddTimer(*this, deadline_);
  if (stop != nullptr) stop->Add(*this);
  return true;
}

void OperationAwaiter::OnCompletion(int result, uint32_t, bool) {
  loop->RemoveTimer(*this);
  Unlink();  // from the stop request
  // What succeeded before the cancellation reached it has succeeded.
  const bool cancelled =
      result == -ECANCELED || (result == -EINTR && cancelled_by != Ended::kNo);  // a blocking call
  result_ = !cancelled ? result : cancelled_by == Ended::kDeadline ? -ETIME : -ECANCELED;
  loop->Schedule(waiter_);
}

}  // namespace postern::io
