// common/io/epoll_backend.h — the loop's backend where io_uring is refused: readiness by epoll,
// edge triggered, the system calls made here. Files block, as they do everywhere without a ring.
#pragma once

#include <memory>

#include "common/base/status.h"
#include "common/io/backend.h"

namespace postern::io {

struct LoopOptions;

absl::StatusOr<std::unique_ptr<Backend>> MakeEpollBackend(const LoopOptions& options);

}  // namespace postern::io
