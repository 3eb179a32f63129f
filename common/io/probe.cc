#include "common/io/probe.h"

#include <liburing.h>

namespace postern::io {

bool UringWorks() {
  io_uring ring;
  if (io_uring_queue_init(2, &ring, IORING_SETUP_R_DISABLED) != 0) return false;
  io_uring_queue_exit(&ring);
  return true;
}

}  // namespace postern::io
