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
  result_ = result == -ECANCELED && cancelled_by == Ended::kDeadline ? -ETIME : result;
  loop->Schedule(waiter_);
}

}  // namespace postern::io
