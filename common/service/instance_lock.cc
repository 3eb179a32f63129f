#include "common/service/instance_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace postern::service {
namespace {

// Whoever may read it may lock it: nobody else is to keep us from starting.
constexpr mode_t kMode = 0600;
constexpr size_t kMaxPidOctets = 32;

std::string PathIn(const std::string& run_directory) { return run_directory + "/master.pid"; }

pid_t PidIn(int fd) {
  char text[kMaxPidOctets + 1] = {};
  if (::pread(fd, text, kMaxPidOctets, 0) <= 0) return 0;
  return static_cast<pid_t>(std::atol(text));
}

// Between our open and our lock the one before may have removed the file at its end.
bool IsStillThere(int fd, const std::string& path) {
  struct stat ours;
  struct stat named;
  return ::fstat(fd, &ours) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

}  // namespace

absl::StatusOr<InstanceLock> InstanceLock::Take(const std::string& run_directory) {
  InstanceLock lock;
  lock.path_ = PathIn(run_directory);
  do {
    lock.fd_.reset(
        ::open(lock.path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kMode));
    if (!lock.fd_) return ErrnoStatus(errno, "open ", lock.path_);
    if (::flock(lock.fd_.get(), LOCK_EX | LOCK_NB) < 0) {
      if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock ", lock.path_);
      return FailedPrecondition("a server runs in ", run_directory, " already: process ",
                                PidIn(lock.fd_.get()));
    }
  } while (!IsStillThere(lock.fd_.get(), lock.path_));
  lock.after_crash_ = PidIn(lock.fd_.get()) != 0;
  const std::string pid = StrCat(::getpid(), '\n');
  if (::ftruncate(lock.fd_.get(), 0) < 0 ||
      ::pwrite(lock.fd_.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return ErrnoStatus(errno, "write ", lock.path_);
  }
  return lock;
}

void InstanceLock::Release() {
  if (!fd_) return;
  ::unlink(path_.c_str());
  fd_.reset();
}

std::optional<pid_t> RunningMaster(const std::string& run_directory) {
  const UniqueFd fd(
      ::open(PathIn(run_directory).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd || ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) return std::nullopt;
  return PidIn(fd.get());
}

}  // namespace postern::service
