// tests/sandbox/confined_child.h — real confinement, in a child that may die of it.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "common/io/loop.h"
#include "common/io/probe.h"
#include "sandbox/confine.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POSTERN_SANITIZED 1
#endif
#endif
#if defined(POSTERN_SANITIZED)
#define SKIP_UNDER_A_SANITIZER() \
  GTEST_SKIP() << "a sanitizer makes system calls of its own, which the filter kills"
#else
#define SKIP_UNDER_A_SANITIZER() (void)0
#endif

namespace postern::sandbox {

#if defined(POSTERN_SANITIZED)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// The wait status of a child that did `act` and ended with what it returned.
inline int InChild(const std::function<int()>& act) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(act());
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

inline constexpr int kNoLandlock = 101;
inline constexpr int kNoLoop = 102;
inline constexpr int kOpenRing = 103;
inline constexpr int kNoSeal = 104;

// The same, after all of `profile` came into force (but for the identity).
inline int InConfinedChild(const Profile& profile, const std::function<int()>& act) {
  return InChild([&] {
    int abi = 0;
    io::LoopOptions options;
    options.backend =
        profile.backend == Backend::kUring ? io::BackendKind::kUring : io::BackendKind::kEpoll;
    options.restrict_ring = [&profile](int ring) { return RestrictRing(ring, profile); };
    IgnoreStatus(RefuseExecGain(), "before Linux 6.3 there is none");
    if (!HardenProcess().ok() || !EnterLandlock(profile, abi).ok()) return kNoLandlock;
    auto loop = io::Loop::Create(options);
    if (!loop.ok()) return kNoLoop;
    if (profile.backend == Backend::kUring &&
        !VerifyRingRestricted((*loop)->registered_ring_index()).ok()) {
      return kOpenRing;
    }
    if (!Seal(profile, (*loop)->registered_ring_index()).ok()) return kNoSeal;
    ::_exit(act());  // without the loop's end, which is not in the profile
  });
}

inline bool EndedWith(int status, int code) {
  return WIFEXITED(status) && WEXITSTATUS(status) == code;
}
inline bool DiedOf(int status, int signal) {
  return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}
inline bool DiedOfSigsys(int status) { return DiedOf(status, SIGSYS); }

}  // namespace postern::sandbox
