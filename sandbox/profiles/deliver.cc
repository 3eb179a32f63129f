// deliver writes into one user's mailbox, as that user. It sees no other directory.
#include <fcntl.h>

#include <utility>

#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile DeliverProfile(Backend backend, UniqueFd mailbox) {
  return ProfileBuilder("deliver", backend)
      .AllowFilesBelow(std::move(mailbox), kManageFiles, "the mailbox")
      .AllowAll({"openat", "mkdirat", "ftruncate", "lseek"},
                "making a Maildir, undoing a partial write to an mbox")
      .AllowAll({"flock", "fcntl"}, "locking an mbox")
      .KillTheRest();
}

}  // namespace postern::sandbox
