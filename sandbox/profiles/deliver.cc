// deliver writes into one user's mailbox, as that user. It sees no other directory.
#include <fcntl.h>

#include <utility>

#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile DeliverProfile(Backend backend, UniqueFd mailbox) {
  ProfileBuilder profile("deliver", backend);
  profile.Allow("flock", {}, "locking an mbox")
      .Allow("fcntl", {Argument::Equals(1, F_OFD_SETLK)}, "locking an mbox")
      .Allow("ftruncate", {}, "undoing a partial write to an mbox");
  // Without a mailbox it touches no file: it only says why there is none.
  if (!mailbox.valid()) return profile.KillTheRest();
  return profile.AllowFilesBelow(std::move(mailbox), kManageFiles, "the mailbox").KillTheRest();
}

}  // namespace postern::sandbox
