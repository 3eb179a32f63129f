// qmgr holds the queue: all mail at rest. It touches nothing but its spool directory, and has no
// network.
#include <fcntl.h>

#include <utility>

#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile QmgrProfile(Backend backend, UniqueFd spool) {
  return ProfileBuilder("qmgr", backend)
      .AllowFilesBelow(std::move(spool), kManageFiles, "the queue's log and large contents")
      .AllowServingSockets()      // the operator's tool
      .AllowSendingDescriptors()  // large contents, read-only, to those who deliver
      .AllowAll({"openat", "fallocate", "fstatfs", "getdents64"},
                "contents opened for reading, segments allocated, free space, listing the spool")
      // Its path may be any file's, which is then looked at, not opened: libc's way of fstat.
      .Allow("newfstatat", {Argument::Equals(3, AT_EMPTY_PATH)},
             "fdopendir makes sure of a directory")
      .Allow("fcntl", {Argument::Equals(1, F_GETFL)}, "fdopendir asks how the directory is open")
      .Allow("fcntl", {Argument::Equals(1, F_SETFD)}, "fdopendir closes it to programs")
      .KillTheRest();
}

}  // namespace postern::sandbox
