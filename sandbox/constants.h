// sandbox/constants.h — what the kernel offers and Debian 12's headers (Linux 6.1) do not name yet.
#pragma once

#include <cstdint>

namespace postern::sandbox {

// prctl, Linux 6.3: memory that is or was writable never becomes executable.
inline constexpr int kSetMdwe = 65;
inline constexpr int kGetMdwe = 66;
inline constexpr int kMdweRefuseExecGain = 1;

// io_uring_register, Linux 6.3: the ring is named by its registered index.
inline constexpr unsigned kUseRegisteredRing = 1u << 31;

// Landlock (linux/landlock.h). The ABI that brought each.
namespace landlock {
inline constexpr unsigned kCreateRuleset = 444;  // system calls
inline constexpr unsigned kAddRule = 445;
inline constexpr unsigned kRestrictSelf = 446;
inline constexpr uint32_t kVersionFlag = 1;
inline constexpr int kPathBeneath = 1;
inline constexpr int kNetPort = 2;                          // 4
inline constexpr uint64_t kFsRightsAbi1 = (1u << 13) - 1;   // 1: EXECUTE .. MAKE_SYM
inline constexpr uint64_t kRefer = 1u << 13;                // 2
inline constexpr uint64_t kTruncate = 1u << 14;             // 3
inline constexpr uint64_t kIoctlDev = 1u << 15;             // 5
inline constexpr uint64_t kBindTcp = 1u << 0;               // 4
inline constexpr uint64_t kConnectTcp = 1u << 1;            // 4
inline constexpr uint64_t kScopeAbstractSockets = 1u << 0;  // 6
inline constexpr uint64_t kScopeSignals = 1u << 1;          // 6
// Rights that make sense on a file; on one, Landlock refuses those of directories.
inline constexpr uint64_t kFileRights = 1u << 0 | 1u << 1 | 1u << 2 | kTruncate | kIoctlDev;
}  // namespace landlock

}  // namespace postern::sandbox
