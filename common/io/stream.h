// common/io/stream.h — a two-way stream of bytes: a socket, or memory in tests.
#pragma once

#include <string_view>

#include "common/base/status.h"
#include "common/io/deadline.h"
#include "common/io/task.h"

namespace postern::io {

// One reader and one writer at a time.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // The bytes at hand that were not consumed yet, without waiting. Valid until Receive or Consume.
  virtual std::string_view Unread() = 0;
  // Waits until there are unread bytes and returns them (all of them if there are some already);
  // empty once the peer has closed its side. Valid until the next Receive or Consume.
  // Errors: kDeadlineExceeded  nothing is lost, calling again is fine
  //         kUnavailable       the connection broke
  //         kCancelled         stop requested
  virtual Task<absl::StatusOr<std::string_view>> Receive(Deadline until) = 0;
  // Drops the first `octets` of the unread bytes: what a view named before is gone.
  virtual void Consume(size_t octets) = 0;
  // Sends all of `bytes`, which must stay in place until then. kDeadlineExceeded leaves it open how
  // much was sent: the stream is then good for closing only.
  virtual Task<absl::Status> Send(std::string_view bytes, Deadline until) = 0;
};

}  // namespace postern::io
