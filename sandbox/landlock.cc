// Landlock by its system calls: the C library has no functions for them.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/unique_fd.h"
#include "sandbox/confine.h"
#include "sandbox/constants.h"

namespace postern::sandbox {
namespace {

using namespace landlock;  // the kernel's words

struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;  // ABI 4
  uint64_t scoped;              // ABI 6
};
struct __attribute__((packed)) PathBeneath {
  uint64_t allowed_access;
  int32_t parent_fd;
};
struct NetPort {
  uint64_t allowed_access;
  uint64_t port;
};

uint64_t FsRights(int abi) {
  uint64_t rights = kFsRightsAbi1;
  if (abi >= 2) rights |= kRefer;
  if (abi >= 3) rights |= kTruncate;
  if (abi >= 5) rights |= kIoctlDev;
  return rights;
}

absl::Status AllowPath(int ruleset, const PathGrant& grant, uint64_t known) {
  UniqueFd own;
  if (grant.opened == nullptr) {
    own.reset(::open(grant.path.c_str(), O_PATH | O_CLOEXEC));
    if (!own) return ErrnoStatus(errno, "landlock: open ", grant.path);
  }
  const UniqueFd& path = grant.opened == nullptr ? own : *grant.opened;
  struct stat about;
  if (::fstat(path.get(), &about) < 0) return ErrnoStatus(errno, "landlock: stat ", grant.path);
  PathBeneath rule{.allowed_access = grant.rights & known, .parent_fd = path.get()};
  if (!S_ISDIR(about.st_mode)) rule.allowed_access &= kFileRights;
  if (::syscall(kAddRule, ruleset, kPathBeneath, &rule, 0) < 0)
    return ErrnoStatus(errno, "landlock: rule for ", grant.path);
  return absl::OkStatus();
}

}  // namespace

absl::Status EnterLandlock(const Profile& profile, int& abi) {
  abi = static_cast<int>(::syscall(kCreateRuleset, nullptr, 0, kVersionFlag));
  if (abi < 0) {
    const int error = errno;
    abi = 0;
    return ErrnoStatus(error, "landlock: not offered by this kernel");
  }
  RulesetAttributes attributes{};
  attributes.handled_access_fs = FsRights(abi);
  if (abi >= kLandlockNetworkAbi) attributes.handled_access_net = kBindTcp | kConnectTcp;
  if (abi >= kLandlockScopesAbi) attributes.scoped = kScopeAbstractSockets | kScopeSignals;
  const size_t size = abi >= kLandlockScopesAbi    ? sizeof attributes
                      : abi >= kLandlockNetworkAbi ? 2 * sizeof(uint64_t)
                                                   : sizeof(uint64_t);
  UniqueFd ruleset(static_cast<int>(::syscall(kCreateRuleset, &attributes, size, 0)));
  if (!ruleset) return ErrnoStatus(errno, "landlock: create ruleset");
  for (const PathGrant& grant : profile.paths) {
    RETURN_IF_ERROR(AllowPath(ruleset.get(), grant, attributes.handled_access_fs));
  }
  if (abi >= kLandlockNetworkAbi) {
    for (const uint16_t port : profile.connect_ports) {
      NetPort rule{.allowed_access = kConnectTcp, .port = port};
      if (::syscall(kAddRule, ruleset.get(), kNetPort, &rule, 0) < 0)
        return ErrnoStatus(errno, "landlock: rule for port ", port);
    }
  }
  if (::syscall(kRestrictSelf, ruleset.get(), 0) < 0)
    return ErrnoStatus(errno, "landlock: restrict");
  return absl::OkStatus();
}

}  // namespace postern::sandbox
