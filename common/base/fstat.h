// common/base/fstat.h — fstat(2) by its own number.
//
// glibc 2.36 makes it of newfstatat(fd, "", AT_EMPTY_PATH): a call that with a path in it looks at
// any file, which no filter can tell apart, and which Landlock does not cover. Confined processes
// have fstat alone, so they ask through here.
#pragma once

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace postern {

// As fstat(2): 0, or -1 and errno.
inline int Fstat(int fd, struct stat* about) {
  return static_cast<int>(::syscall(SYS_fstat, fd, about));
}

}  // namespace postern
