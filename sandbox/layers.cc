// What is in force, as the kernel tells it.
#include <sys/prctl.h>
#include <unistd.h>

#include <set>

#include "sandbox/confine.h"
#include "sandbox/constants.h"

namespace postern::sandbox {

std::string DescribeLayers(const Profile& profile, const Identity& identity, int landlock_abi) {
  std::set<std::string> calls;
  for (const SyscallRule& rule : profile.syscalls) calls.insert(rule.name);
  const std::set<uint8_t> operations(profile.ring_operations.begin(),
                                     profile.ring_operations.end());
  std::string layers = identity.drop ? "ids " : "";
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) layers += "no_new_privs ";
  if (::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0) layers += "undumpable ";
  // -1 before Linux 6.3: the filter's rules on PROT_EXEC are all there is then.
  if (const int mdwe = ::prctl(kGetMdwe, 0, 0, 0, 0); mdwe > 0 && (mdwe & kMdweRefuseExecGain) != 0)
    layers += "mdwe ";
  if (landlock_abi > 0) layers += "landlock:" + std::to_string(landlock_abi) + " ";
  if (profile.backend == Backend::kUring)
    layers += "ring:" + std::to_string(operations.size()) + " ";
  return layers + "rlimits:" + std::to_string(profile.limits.size()) +
         " seccomp:" + std::to_string(calls.size());
}

}  // namespace postern::sandbox
