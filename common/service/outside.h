// common/service/outside.h — what a daemon that enters namespaces asks of master, before the loop
// runs (common/ipc/protocol/control.h).
#pragma once

#include <sys/types.h>

#include "common/base/status.h"

namespace postern::service {

// Both send on `control` and wait until master has done it. Errors:
// kFailedPrecondition what master says; kUnavailable it is gone, or would not.

// The process `pid` gets all ids that master knows, in its user namespace.
absl::Status AskToMapIds(int control, pid_t pid);
// Master has to look at `pid` from now on.
absl::Status TellMoved(int control, pid_t pid);

}  // namespace postern::service
