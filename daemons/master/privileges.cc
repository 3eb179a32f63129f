#include "daemons/master/privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace postern::master {
namespace {

// What children start with, to become who they are to be.
constexpr int kForChildren[] = {CAP_SETUID, CAP_SETGID, CAP_SETPCAP,     CAP_KILL,
                                CAP_CHOWN,  CAP_FOWNER, CAP_DAC_OVERRIDE};

// A capability that is not there cannot be dropped either, which is as good.
void LimitBoundingSet() {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (std::ranges::find(kForChildren, capability) == std::end(kForChildren))
      ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
}

absl::Status LimitOwn() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2]{};
  if (::syscall(SYS_capget, &header, sets) < 0) return ErrnoStatus(errno, "capget");
  // SETFCAP: a user namespace that knows root is given its ids only by who has it.
  uint64_t keep = uint64_t{1} << CAP_NET_BIND_SERVICE | uint64_t{1} << CAP_SETFCAP;
  for (const int capability : kForChildren) keep |= uint64_t{1} << capability;
  for (int i = 0; i < 2; ++i) {
    const auto part = static_cast<uint32_t>(keep >> (32 * i));
    sets[i].permitted &= part;
    sets[i].effective = sets[i].permitted;
    sets[i].inheritable = 0;
  }
  if (::syscall(SYS_capset, &header, sets) < 0) return ErrnoStatus(errno, "capset");
  return absl::OkStatus();
}

}  // namespace

absl::Status DropPowers() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return ErrnoStatus(errno, "not dumpable");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return ErrnoStatus(errno, "no_new_privs");
  if (::geteuid() == 0) LimitBoundingSet();
  return LimitOwn();
}

}  // namespace postern::master
