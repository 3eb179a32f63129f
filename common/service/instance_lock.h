// common/service/instance_lock.h — one server to a run directory.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace postern::service {

// The file run_directory/master.pid: it holds the process id of the master that runs there, and is
// locked for as long as that one lives, however it ends. Who removes it by hand gains nothing.
class InstanceLock {
 public:
  // Errors: kFailedPrecondition  another server runs there; the message names its process
  //         others               as of open(2); never through a link
  static absl::StatusOr<InstanceLock> Take(const std::string& run_directory);
  InstanceLock() = default;
  InstanceLock(InstanceLock&&) = default;
  InstanceLock& operator=(InstanceLock&&) = default;

  // The master before us did not come to its end (SIGKILL, power cut).
  bool after_crash() const { return after_crash_; }
  // Removes the file; at an orderly end.
  void Release();

 private:
  std::string path_;
  UniqueFd fd_;
  bool after_crash_ = false;
};

// The process id of the server of that run directory; 0 if it runs but cannot be read; nullopt:
// none runs.
std::optional<pid_t> RunningMaster(const std::string& run_directory);

}  // namespace postern::service
