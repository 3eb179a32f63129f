#include "common/io/event.h"

#include <cerrno>

namespace postern::io {

absl::Status Event::Awaiter::await_resume() const {
  if (event_.set_) return absl::OkStatus();
  const int result = OperationAwaiter::await_resume();
  if (result >= 0) return absl::OkStatus();
  return result == -ECANCELED ? Cancelled() : DeadlineExceeded("wait: no event in time");
}

absl::Status Sleep::await_resume() const {
  return OperationAwaiter::await_resume() == -ECANCELED ? Cancelled() : absl::OkStatus();
}

}  // namespace postern::io
