// qmgr holds the queue: all mail at rest. It touches nothing but its spool directory, and has no
// network.
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
      .Limit(RLIMIT_AS, kLargeAddressOctets)
      .KillTheRest();
}

}  // namespace postern::sandbox
