// Who the process is, and what it can never be again.
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/confine.h"

namespace postern::sandbox {
namespace {

#ifndef PR_SET_MDWE
constexpr int PR_SET_MDWE = 65;
constexpr unsigned long PR_MDWE_REFUSE_EXEC_GAIN = 1;
#endif

absl::Status ClearCapabilities() {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
      return ErrnoStatus(errno, "ids: drop capability ", capability, " from the bounding set");
    }
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) {
    return ErrnoStatus(errno, "ids: clear ambient capabilities");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DropIdentity(const Identity& identity) {
  if (!identity.drop) return absl::OkStatus();
  if (identity.uid == 0 || identity.gid == 0)
    return InvalidArgument("ids: a daemon must not run as root");
  RETURN_IF_ERROR(ClearCapabilities());
  if (::setgroups(0, nullptr) < 0) return ErrnoStatus(errno, "ids: setgroups");
  if (::setresgid(identity.gid, identity.gid, identity.gid) < 0)
    return ErrnoStatus(errno, "ids: setresgid ", identity.gid);
  if (::setresuid(identity.uid, identity.uid, identity.uid) < 0)
    return ErrnoStatus(errno, "ids: setresuid ", identity.uid);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct none[2]{};
  if (::syscall(SYS_capset, &header, none) < 0) return ErrnoStatus(errno, "ids: capset");
  if (::setuid(0) == 0 || ::setgid(0) == 0) return Internal("ids: root could be regained");
  return absl::OkStatus();
}

absl::Status HardenProcess() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return ErrnoStatus(errno, "no_new_privs");
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return ErrnoStatus(errno, "dumpable");
  // Linux 6.3; the seccomp rules on PROT_EXEC say the same of older ones.
  if (::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) < 0 && errno != EINVAL)
    return ErrnoStatus(errno, "mdwe");
  return absl::OkStatus();
}

}  // namespace postern::sandbox
