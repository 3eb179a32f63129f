// tests/sandbox/compiled_profile.h — a profile as the kernel will see it: its filter, evaluated
// call by call, and its list for the ring.
//
//   const CompiledProfile profile(SmtpdProfile(Backend::kUring));
//   EXPECT_THAT(profile.Verdict("openat"), IsKilled());
#pragma once

#include <gmock/gmock.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "sandbox/confine.h"
#include "sandbox/profile.h"
#include "tests/testing/bpf_evaluator.h"

namespace postern::sandbox {

// The ring's registered index in compiled profiles.
inline constexpr int kTestRing = 3;
// Arguments that no rule of ours asks for.
inline constexpr uint64_t kOdd = 0xDEADBEEFDEADBEEF;

inline uint32_t NumberOf(std::string_view name) {
  const int number = seccomp_syscall_resolve_name(std::string(name).c_str());
  CHECK(number >= 0);
  return static_cast<uint32_t>(number);
}

class CompiledProfile {
 public:
  explicit CompiledProfile(Profile profile)
      : profile_(std::move(profile)), evaluator_(Export(profile_)) {}

  uint32_t Verdict(std::string_view name, std::array<uint64_t, 6> arguments = {}) const {
    return VerdictOn({.number = NumberOf(name), .arguments = arguments});
  }
  uint32_t VerdictOn(const test::SystemCall& call) const {
    const std::optional<uint32_t> verdict = evaluator_.Verdict(call);
    CHECK(verdict.has_value());
    return *verdict;
  }
  bool AllowsRingOperation(uint8_t operation) const {
    return std::count(profile_.ring_operations.begin(), profile_.ring_operations.end(), operation) >
           0;
  }
  std::set<int> RingOperations() const {
    return {profile_.ring_operations.begin(), profile_.ring_operations.end()};
  }
  // The calls that are allowed whatever their arguments: all numbers are tried.
  std::set<std::string> AllowedWithAnyArguments() const {
    return NamesAllowedWith({kOdd, kOdd, kOdd, kOdd, kOdd, kOdd});
  }
  // The calls that depend on their arguments.
  std::set<std::string> AllowedWithSomeArguments() const {
    std::set<std::string> names;
    for (const SyscallRule& rule : profile_.syscalls) {
      if (!rule.arguments.empty()) names.insert(rule.name);
    }
    return names;
  }
  const Profile& profile() const { return profile_; }

 private:
  static std::string Export(const Profile& profile) {
    absl::StatusOr<std::string> program = ExportFilter(profile, kTestRing);
    CHECK(program.ok());
    return *std::move(program);
  }
  std::set<std::string> NamesAllowedWith(std::array<uint64_t, 6> arguments) const {
    std::set<std::string> names;
    for (uint32_t number = 0; number < 1024; ++number) {
      if (VerdictOn({.number = number, .arguments = arguments}) == SECCOMP_RET_KILL_PROCESS)
        continue;
      char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, static_cast<int>(number));
      names.insert(name == nullptr ? std::to_string(number) : name);
      ::free(name);
    }
    return names;
  }

  Profile profile_;
  test::BpfEvaluator evaluator_;
};

MATCHER(IsAllowed, "is allowed") { return arg == SECCOMP_RET_ALLOW; }
MATCHER(IsKilled, "ends the process") { return arg == SECCOMP_RET_KILL_PROCESS; }
MATCHER_P(IsRefusedWith, error, "is answered with errno " + ::testing::PrintToString(error)) {
  return arg == (SECCOMP_RET_ERRNO | static_cast<uint32_t>(error));
}

// What every profile starts with.
inline std::set<std::string> BaseCalls(Backend backend, std::initializer_list<const char*> more) {
  std::set<std::string> calls{
      "brk",    "clock_gettime", "close",           "exit_group",     "fstat",
      "futex",  "getpid",        "getrandom",       "gettid",         "madvise",
      "mremap", "munmap",        "restart_syscall", "rt_sigprocmask", "write"};
  if (backend == Backend::kEpoll)
    calls.insert({"epoll_ctl", "epoll_pwait", "poll", "recvfrom", "recvmsg"});
  calls.insert(more.begin(), more.end());
  return calls;
}
inline std::set<std::string> BaseConditions(Backend backend,
                                            std::initializer_list<const char*> more) {
  std::set<std::string> calls{"mmap", "mprotect", "tgkill"};
  calls.insert(backend == Backend::kUring ? "io_uring_enter" : "sendto");
  calls.insert(more.begin(), more.end());
  return calls;
}

}  // namespace postern::sandbox
