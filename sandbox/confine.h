// sandbox/confine.h — putting a profile in force, in the order that each step needs (README.md).
//
// Every function ends in a status that names the layer which failed; the caller ends the process
// then, unless the layer may be missing (missing.h). First of all come the namespaces
// (namespaces.h).
#pragma once

#include <sys/types.h>

#include <string>

#include "common/base/status.h"
#include "sandbox/layer.h"
#include "sandbox/profile.h"

namespace postern::sandbox {

struct Identity {
  bool drop = false;  // false: stay who we are (started without root)
  uid_t uid = 0;
  gid_t gid = 0;
};

// 1. The process becomes `identity` for good, without capabilities, bounding set or groups; checks
//    that it cannot go back. Never root: uid and gid 0 are refused. Without `drop` it stays who it
//    is, and gives up its capabilities.
absl::Status DropIdentity(const Identity& identity);

// While it lives, files are opened and made as `identity`, without capabilities; nothing is changed
// without `drop`. Groups are gone for good. Destroyed, the process is root again.
class BorrowedIdentity {
 public:
  static absl::StatusOr<BorrowedIdentity> Take(const Identity& identity);
  BorrowedIdentity(BorrowedIdentity&& other) noexcept;
  BorrowedIdentity& operator=(BorrowedIdentity&&) = delete;
  ~BorrowedIdentity();

 private:
  explicit BorrowedIdentity(bool taken) : taken_(taken) {}
  bool taken_;
};

// 2. No new privileges, without which an ordinary user gets neither Landlock nor a filter.
absl::Status ForbidNewPrivileges();
//    The same, and not dumpable: siblings of the same uid cannot look in.
absl::Status HardenProcess();

// The same order: memory that was writable never becomes executable (MDWE).
// Errors: kInvalidArgument  the kernel does not know it (before Linux 6.3)
absl::Status RefuseExecGain();

// 3. The file system and TCP as the profile's grants say, signals and abstract sockets closed.
//    Sets `abi` to the kernel's Landlock version.
absl::Status EnterLandlock(const Profile& profile, int& abi);

// The parts that came later: whether a Landlock of that version knows TCP ports, and whether it
// keeps signals and abstract sockets inside.
inline constexpr int kLandlockNetworkAbi = 4;
inline constexpr int kLandlockScopesAbi = 6;

// 4. While the ring is still disabled: the list of operations. Operations the kernel does not know
//    would make it refuse the whole list and then enable an open ring, so they are probed first.
absl::Status RestrictRing(int ring_fd, const Profile& profile);

// 5. Once the ring runs, before the filter: the process's own ring, known by its registered index,
//    must refuse to be registered with. common/io has seen it refuse an operation by then.
absl::Status VerifyRingRestricted(int registered_ring_index);

// 6. rlimits.
absl::Status LimitResources(const Profile& profile);

// What the filter does with a call that is not in the profile. The other is for confine-probe
// alone, which tries many in one process.
enum class Unlisted { kKill, kNoSuchCall };

// 7. The filter. `registered_ring_index` pins io_uring_enter to the one ring; -1 is right for epoll
//    only.
absl::Status LoadFilter(const Profile& profile, int registered_ring_index,
                        Unlisted unlisted = Unlisted::kKill);

// The two last together.
absl::Status Seal(const Profile& profile, int registered_ring_index);

// "ids no_new_privs undumpable mdwe landlock:7 ring:15 rlimits:3 seccomp:31": what is in force, for
// `postern ps`. Asks the kernel, so it comes before Seal, whose filter forbids the question; its
// two last words say what Seal is about to do. A `landlock_abi` of 0: there is none.
std::string DescribeLayers(const Profile& profile, const Identity& identity, int landlock_abi);

// The compiled filter (struct sock_filter array), for tests.
absl::StatusOr<std::string> ExportFilter(const Profile& profile, int registered_ring_index);

}  // namespace postern::sandbox
