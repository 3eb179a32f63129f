// Who the process is, and what it can never be again.
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "sandbox/confine.h"
#include "sandbox/constants.h"

namespace postern::sandbox {
namespace {

absl::Status ClearBoundingSet() {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
      return ErrnoStatus(errno, "ids: drop capability ", capability, " from the bounding set");
    }
  }
  return absl::OkStatus();
}

bool HasCapability(int capability) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2]{};
  return ::syscall(SYS_capget, &header, sets) == 0 &&
         (sets[capability / 32].effective >> (capability % 32) & 1) != 0;
}

absl::Status ClearCapabilities() {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
    return ErrnoStatus(errno, "ids: clear ambient capabilities");
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[2]{};
  if (::syscall(SYS_capset, &header, none) < 0) return ErrnoStatus(errno, "ids: capset");
  return absl::OkStatus();
}

// What the kernel says now, not what the calls before returned.
absl::Status CheckDropped(const Identity& identity) {
  uid_t uids[3];
  gid_t gids[3];
  if (::getresuid(&uids[0], &uids[1], &uids[2]) < 0 ||
      ::getresgid(&gids[0], &gids[1], &gids[2]) < 0) {
    return ErrnoStatus(errno, "ids: ask who we are");
  }
  for (int i = 0; i < 3; ++i) {
    if (uids[i] != identity.uid || gids[i] != identity.gid)
      return Internal("ids: still ", uids[i], ":", gids[i]);
  }
  if (::getgroups(0, nullptr) != 0) return Internal("ids: supplementary groups are left");
  if (::setuid(0) == 0 || ::setgid(0) == 0) return Internal("ids: root could be regained");
  return absl::OkStatus();
}

}  // namespace

absl::Status DropIdentity(const Identity& identity) {
  // TODO(identity): refuse to stay root here, once the tests that start a daemon as root name an
  // identity.
  if (!identity.drop) {
    // Whoever is in a user namespace of his own has all of them there.
    if (HasCapability(CAP_SETPCAP)) RETURN_IF_ERROR(ClearBoundingSet());
    return ClearCapabilities();
  }
  if (identity.uid == 0 || identity.gid == 0)
    return InvalidArgument("ids: a daemon must not run as root");
  RETURN_IF_ERROR(ClearBoundingSet());
  if (::setgroups(0, nullptr) < 0) return ErrnoStatus(errno, "ids: setgroups");
  if (::setresgid(identity.gid, identity.gid, identity.gid) < 0)
    return ErrnoStatus(errno, "ids: setresgid ", identity.gid);
  if (::setresuid(identity.uid, identity.uid, identity.uid) < 0)
    return ErrnoStatus(errno, "ids: setresuid ", identity.uid);
  RETURN_IF_ERROR(ClearCapabilities());
  return CheckDropped(identity);
}

absl::StatusOr<BorrowedIdentity> BorrowedIdentity::Take(const Identity& identity) {
  if (!identity.drop) return BorrowedIdentity(false);
  if (::setgroups(0, nullptr) < 0) return ErrnoStatus(errno, "ids: setgroups");
  if (::setegid(identity.gid) < 0) return ErrnoStatus(errno, "ids: setegid ", identity.gid);
  BorrowedIdentity borrowed(true);
  if (::seteuid(identity.uid) < 0) return ErrnoStatus(errno, "ids: seteuid ", identity.uid);
  return borrowed;
}

BorrowedIdentity::BorrowedIdentity(BorrowedIdentity&& other) noexcept
    : taken_(std::exchange(other.taken_, false)) {}

// Both were root's before, so this can only fail by a filter; then less can be done, never more.
BorrowedIdentity::~BorrowedIdentity() {
  if (taken_ && (::seteuid(0) < 0 || ::setegid(0) < 0)) ::_exit(1);
}

absl::Status ForbidNewPrivileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return ErrnoStatus(errno, "no_new_privs");
  return absl::OkStatus();
}

absl::Status HardenProcess() {
  RETURN_IF_ERROR(ForbidNewPrivileges());
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return ErrnoStatus(errno, "dumpable");
  return absl::OkStatus();
}

absl::Status RefuseExecGain() {
  if (::prctl(kSetMdwe, kMdweRefuseExecGain, 0, 0, 0) < 0) return ErrnoStatus(errno, "mdwe: prctl");
  return absl::OkStatus();
}

}  // namespace postern::sandbox
