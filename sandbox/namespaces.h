// sandbox/namespaces.h — a process of its own world: no files but those shown to it, no network, no
// other processes.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace postern::sandbox {

// A directory that stays visible, with all that is mounted below it.
struct Shown {
  std::string path;  // absolute, where it appears
  // Opens what appears there, in the new namespaces and before the old root goes (what was opened
  // earlier belongs to mounts of the old ones). None: `path` itself is opened, with whatever powers
  // the process began with; if that does not exist, it is left out.
  std::function<absl::StatusOr<UniqueFd>()> open = {};
};

struct Namespaces {
  bool keep_network = false;
  std::vector<Shown> shown;

  // user, mount, IPC, UTS, PID, and network: as DescribeLayers counts them.
  int count() const { return keep_network ? 5 : 6; }
};

// What is done for the new process `pid` (as the outside counts) by others. Called in the old one.
struct Outside {
  // Writes the user and group ids that it knows, from outside. Not set: it maps its own id alone,
  // which needs nobody; all others look like the overflow id then.
  std::function<absl::Status(pid_t)> map_ids = {};
  // It takes our place. What keeps an eye on us must look at it from here on.
  std::function<absl::Status(pid_t)> moved = {};
};

// Makes new user, mount, IPC, UTS, PID and (unless kept) network namespaces, with an empty
// read-only root in which only `shown` appear. This returns in a new process, a child of our parent
// and a copy of ours in all else: its id as the outside counts. The old process ends (status 0)
// inside the call.
//
// The new one is process 1 in there: signals whose action is the default do not reach it, but those
// the kernel forces (SIGKILL, SIGSYS of a filter, SIGSEGV of a fault) do. Call it with one thread.
//
// Errors ("namespaces: step: why") are seen in the old process, which is as it was.
absl::StatusOr<pid_t> EnterNamespaces(const Namespaces& namespaces, const Outside& outside);

}  // namespace postern::sandbox
