// tools/probe/acts.h — what a process must not be able to do, as data.
//
// An act is tried for real, by a process that became the role. It is written so that it harms
// nothing if it succeeds, even as root: it aims at the probe's own scratch files, processes and
// sockets, or asks the kernel for something that is refused behind the check of powers only. So an
// act *succeeds* when the kernel's answer is anything but a refusal: an error that only somebody
// who was let through can get counts as success.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sandbox/profile.h"
#include "tools/probe/stage.h"

struct io_uring;
struct io_uring_sqe;

namespace postern::probe {

// What an act has at hand, in the process that tries it.
struct Scene {
  const Stage& stage;
  const sandbox::Profile& profile;
  io_uring* ring = nullptr;  // the role's own; null with epoll
  pid_t role = 0;            // the confined process: for acts of a sibling
};

// Who tries: the confined process, or a sibling with the same uid and no layer at all, upon it.
enum class By : uint8_t { kRole, kSibling };

// Roles that may do it nevertheless, and why that is right.
struct Allowance {
  std::vector<std::string> roles;
  std::string reason;
  bool Covers(std::string_view role) const;
};

struct Act {
  std::string group;
  std::string name;
  // What the kernel said: a result of zero or more, or a negative errno.
  std::function<long(const Scene&)> attempt;
  // Refusals besides ENOSYS, EPERM and EACCES.
  std::vector<int> refusals;
  Allowance allowed;
  By by = By::kRole;
  bool needs_ring = false;
  int landlock_abi = 0;     // below it the kernel cannot refuse
  bool needs_root = false;  // about what is root's: an unprivileged probe has nothing of the kind
};

// Whether `result` means that the act was stopped.
bool IsRefused(const Act& act, long result);

// A path that is not shown, or lies outside of what may be reached from a directory.
inline constexpr std::initializer_list<int> kHidden = {ENOENT, EXDEV, ELOOP, EROFS};
// A protocol the kernel was built without.
inline constexpr std::initializer_list<int> kNoFamily = {EAFNOSUPPORT, EPROTONOSUPPORT,
                                                         ESOCKTNOSUPPORT};

// The acts that make sense with `profile` on this kernel. `ring_operations`: the highest operation
// the kernel knows, plus one; 0: no ring.
std::vector<Act> ActsFor(const sandbox::Profile& profile, unsigned ring_operations);

void AddFileActs(std::vector<Act>& acts);
void AddFileSystemActs(std::vector<Act>& acts);
void AddProcessActs(std::vector<Act>& acts);
void AddNetworkActs(std::vector<Act>& acts);
void AddMemoryActs(std::vector<Act>& acts);
void AddIdentityActs(std::vector<Act>& acts);
void AddKernelActs(std::vector<Act>& acts);
void AddDescriptorActs(std::vector<Act>& acts);
void AddSiblingActs(std::vector<Act>& acts);
void AddRingActs(std::vector<Act>& acts, const sandbox::Profile& profile, unsigned ring_operations);

namespace internal {
template <class T>
long Word(T value) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(value);
  } else if constexpr (std::is_null_pointer_v<T>) {
    return 0;
  } else {
    return static_cast<long>(value);
  }
}
}  // namespace internal

// A system call as the kernel sees it: its result, or a negative errno. Not by the C library's
// functions, which do other things first.
template <class... Arguments>
long Call(long number, Arguments... arguments) {
  const long result = ::syscall(number, internal::Word(arguments)...);
  return result < 0 ? -errno : result;
}

}  // namespace postern::probe
