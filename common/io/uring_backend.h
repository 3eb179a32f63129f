// common/io/uring_backend.h — the loop's backend on io_uring.
#pragma once

#include <memory>

#include "common/base/status.h"
#include "common/io/backend.h"

namespace postern::io {

struct LoopOptions;

// Makes the ring disabled, registers buffers and restrictions, enables it.
// Errors: kFailedPrecondition  io_uring is not to be had here (kernel, sysctl or container policy)
//         others               it is, but could not be set up as asked (restrictions above all)
absl::StatusOr<std::unique_ptr<Backend>> MakeUringBackend(const LoopOptions& options);

}  // namespace postern::io
