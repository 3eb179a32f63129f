// deliver writes into one user's mailbox, as that user. It sees no other directory.
#include <fcntl.h>

#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile DeliverProfile(Backend backend, const std::string& mailbox_directory) {
  return ProfileBuilder("deliver", backend)
      .AllowFilesBelow({mailbox_directory}, kManageFiles, "the mailbox")
      .AllowAll({"openat", "mkdirat", "ftruncate", "lseek"},
                "making a Maildir, undoing a partial write to an mbox")
      .AllowAll({"flock", "fcntl"}, "locking an mbox")
      .KillTheRest();
}

}  // namespace postern::sandbox
