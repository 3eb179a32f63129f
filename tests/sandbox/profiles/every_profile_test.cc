// What holds for every daemon, on either backend.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <liburing.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/profiles/profiles.h"
#include "tests/sandbox/compiled_profile.h"

namespace postern::sandbox {
namespace {

std::vector<CompiledProfile> EveryProfile() {
  std::vector<CompiledProfile> profiles;
  for (const Backend backend : {Backend::kUring, Backend::kEpoll}) {
    profiles.emplace_back(SmtpdProfile(backend));
    profiles.emplace_back(PolicydProfile(backend));
    profiles.emplace_back(ResolvdProfile(backend, {53}));
    profiles.emplace_back(QmgrProfile(backend, UniqueFd()));
    profiles.emplace_back(SmtpcProfile(backend, {25}, true));
    profiles.emplace_back(LocaldProfile(backend));
    profiles.emplace_back(DeliverProfile(backend, UniqueFd(::open("/tmp", O_PATH | O_CLOEXEC))));
    profiles.emplace_back(BouncedProfile(backend));
  }
  return profiles;
}

std::string Label(const CompiledProfile& profile) {
  return profile.profile().name +
         (profile.profile().backend == Backend::kUring ? " (uring) " : " (epoll) ");
}

TEST(EveryProfile, KillsForWhatNoDaemonNeeds) {
  const char* const never[] = {
      // programs and processes
      "execve", "execveat", "fork", "vfork", "clone", "clone3", "setsid", "personality",
      // other processes
      "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kill", "tkill",
      "rt_sigqueueinfo", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kcmp",
      // the process's own cage
      "prctl", "arch_prctl", "seccomp", "setrlimit", "prlimit64", "landlock_restrict_self",
      "io_uring_setup", "io_uring_register", "setuid", "setgid", "setresuid", "setresgid",
      "setgroups", "capset", "unshare", "setns", "rt_sigaction", "sigaltstack",
      // the kernel
      "bpf", "perf_event_open", "userfaultfd", "init_module", "finit_module", "kexec_load",
      "keyctl", "add_key", "request_key", "modify_ldt", "iopl", "ioperm", "memfd_secret",
      "remap_file_pages",
      // the machine
      "mount", "umount2", "pivot_root", "chroot", "fsopen", "open_tree", "move_mount", "reboot",
      "sethostname", "clock_settime", "settimeofday", "adjtimex", "swapon", "acct", "syslog",
      // files by paths, and what Landlock does not cover
      "open", "creat", "stat", "lstat", "statx", "access", "faccessat2", "readlink", "readlinkat",
      "chdir", "fchdir", "chmod", "fchmod", "fchmodat", "chown", "fchownat", "mknodat", "mkdirat",
      "symlinkat", "truncate", "utimensat", "setxattr", "name_to_handle_at", "open_by_handle_at",
      "fanotify_init", "inotify_init1",
      // descriptors
      "dup", "dup2", "dup3", "ioctl", "memfd_create", "pipe2", "socketpair", "eventfd2",
      "signalfd4", "timerfd_create", "epoll_create1", "listen", "accept", "shutdown", "splice",
      "vmsplice", "sendfile", "copy_file_range",
      // shared memory and queues
      "shmget", "shmat", "msgget", "semget", "mq_open"};
  for (const CompiledProfile& profile : EveryProfile()) {
    for (const char* call : never) {
      EXPECT_THAT(profile.Verdict(call), IsKilled()) << Label(profile) << call;
      EXPECT_THAT(profile.Verdict(call, {kOdd, kOdd, kOdd, kOdd, kOdd, kOdd}), IsKilled())
          << Label(profile) << call;
    }
  }
}

TEST(EveryProfile, KillsForCallsOfOtherArchitectures) {
  constexpr uint32_t kX32 = 0x40000000;
  for (const CompiledProfile& profile : EveryProfile()) {
    for (uint32_t number = 0; number < 512; ++number) {
      EXPECT_THAT(profile.VerdictOn({.number = number, .architecture = AUDIT_ARCH_I386}),
                  IsKilled())
          << Label(profile) << "i386 " << number;
      EXPECT_THAT(profile.VerdictOn({.number = number | kX32}), IsKilled())
          << Label(profile) << "x32 " << number;
    }
  }
}

TEST(EveryProfile, KillsForCallsNobodyKnowsYet) {
  for (const CompiledProfile& profile : EveryProfile()) {
    for (const uint32_t number : {600u, 1000u, 0x3FFFFFFFu, 0xFFFFFFFEu})
      EXPECT_THAT(profile.VerdictOn({.number = number}), IsKilled()) << Label(profile) << number;
  }
}

TEST(EveryProfile, MapsMemoryThatHoldsNoCode) {
  constexpr uint64_t kData = PROT_READ | PROT_WRITE;
  constexpr uint64_t kHeap = MAP_PRIVATE | MAP_ANONYMOUS;
  const struct {
    const char* label;
    uint64_t protection, flags;
    bool allowed;
  } rows[] = {{"heap", kData, kHeap, true},
              {"a guard page", PROT_NONE, kHeap, true},
              {"an arena", PROT_NONE, kHeap | MAP_NORESERVE, true},
              {"code", PROT_READ | PROT_EXEC, kHeap, false},
              {"code that can be written", kData | PROT_EXEC, kHeap, false},
              {"an unknown protection", kData | 1ull << 40, kHeap, false},
              {"memory that others share", kData, MAP_SHARED | MAP_ANONYMOUS, false},
              {"a file", kData, MAP_PRIVATE, false},
              {"at a place of its choice", kData, kHeap | MAP_FIXED, false}};
  for (const CompiledProfile& profile : EveryProfile()) {
    for (const auto& row : rows) {
      EXPECT_EQ(profile.Verdict("mmap", {0, 4096, row.protection, row.flags}) == SECCOMP_RET_ALLOW,
                row.allowed)
          << Label(profile) << row.label;
    }
    EXPECT_THAT(profile.Verdict("mprotect", {0, 4096, kData}), IsAllowed()) << Label(profile);
    EXPECT_THAT(profile.Verdict("mprotect", {0, 4096, PROT_READ | PROT_EXEC}), IsKilled())
        << Label(profile);
    EXPECT_THAT(profile.Verdict("pkey_mprotect", {0, 4096, kData}), IsKilled()) << Label(profile);
  }
}

TEST(EveryProfile, EntersItsOneRingByIndexOrNoneAtAll) {
  constexpr uint64_t kRegistered = 1u << 4;
  constexpr uint64_t kGetEvents = 1;
  for (const CompiledProfile& profile : EveryProfile()) {
    const bool uring = profile.profile().backend == Backend::kUring;
    const auto enter = [&](uint64_t ring, uint64_t flags) {
      return profile.Verdict("io_uring_enter", {ring, 1, 0, flags});
    };
    EXPECT_EQ(enter(kTestRing, kRegistered | kGetEvents) == SECCOMP_RET_ALLOW, uring)
        << Label(profile);
    EXPECT_THAT(enter(kTestRing, kGetEvents), IsKilled()) << Label(profile) << "a descriptor";
    EXPECT_THAT(enter(kTestRing + 1, kRegistered), IsKilled()) << Label(profile) << "another ring";
    EXPECT_THAT(enter(kTestRing | 1ull << 32, kRegistered), IsKilled()) << Label(profile);
    EXPECT_EQ(profile.RingOperations().empty(), !uring) << Label(profile);
  }
}

TEST(EveryProfile, SignalsItselfAloneAndOnlyToAbort) {
  const auto self = static_cast<uint64_t>(::getpid());
  for (const CompiledProfile& profile : EveryProfile()) {
    EXPECT_THAT(profile.Verdict("tgkill", {self, self, SIGABRT}), IsAllowed()) << Label(profile);
    EXPECT_THAT(profile.Verdict("tgkill", {self + 1, self + 1, SIGABRT}), IsKilled())
        << Label(profile) << "a sibling";
    EXPECT_THAT(profile.Verdict("tgkill", {self, self, SIGSTOP}), IsKilled()) << Label(profile);
  }
}

TEST(EveryProfile, ListsNoOperationThatMakesOrOpensThings) {
  const uint8_t never[] = {
      IORING_OP_NOP,          IORING_OP_OPENAT,   IORING_OP_SOCKET,          IORING_OP_MSG_RING,
      IORING_OP_FILES_UPDATE, IORING_OP_SPLICE,   IORING_OP_PROVIDE_BUFFERS, IORING_OP_URING_CMD,
      IORING_OP_STATX,        IORING_OP_MKDIRAT,  IORING_OP_SYMLINKAT,       IORING_OP_SETXATTR,
      IORING_OP_EPOLL_CTL,    IORING_OP_SHUTDOWN, IORING_OP_READ_FIXED,      IORING_OP_WRITE_FIXED,
      IORING_OP_POLL_REMOVE,  IORING_OP_FADVISE,  IORING_OP_MADVISE,         IORING_OP_TEE};
  for (const CompiledProfile& profile : EveryProfile()) {
    for (const uint8_t operation : never)
      EXPECT_FALSE(profile.AllowsRingOperation(operation)) << Label(profile) << int{operation};
    // Async work runs on threads of the kernel, a drained queue stops the loop.
    EXPECT_EQ(profile.profile().ring_sqe_flags & (IOSQE_ASYNC | IOSQE_IO_DRAIN), 0)
        << Label(profile);
  }
}

TEST(EveryProfile, LimitsCoresAndLockedMemoryAndThreadsWhereNoFilesAre) {
  for (const CompiledProfile& profile : EveryProfile()) {
    std::set<int> none;
    for (const Limit& limit : profile.profile().limits) {
      if (limit.value == 0) none.insert(static_cast<int>(limit.resource));
    }
    EXPECT_TRUE(none.contains(RLIMIT_CORE)) << Label(profile);
    EXPECT_TRUE(none.contains(RLIMIT_MEMLOCK)) << Label(profile);
    const std::string& name = profile.profile().name;
    const bool files = name == "qmgr" || name == "deliver" || name == "smtpc";
    EXPECT_EQ(none.contains(RLIMIT_NPROC), !files) << Label(profile);
  }
}

TEST(EveryProfile, BoundsMemory) {
  for (const CompiledProfile& profile : EveryProfile()) {
    size_t bounds = 0;
    for (const Limit& limit : profile.profile().limits) {
      if (limit.resource != RLIMIT_AS) continue;
      ++bounds;
      EXPECT_LE(limit.value, kLargeAddressOctets) << Label(profile);
    }
    EXPECT_EQ(bounds, 1u) << Label(profile);
  }
}

// Whoever makes sockets names a peer by connecting, where Landlock looks, or (resolvd) by
// datagrams.
TEST(EveryProfile, SendsToThePeerAlone) {
  for (const CompiledProfile& profile : EveryProfile()) {
    EXPECT_THAT(profile.Verdict("sendto", {5, 1, 1, MSG_FASTOPEN, 1, 16}), IsKilled())
        << Label(profile);
    if (profile.profile().backend == Backend::kEpoll) {
      EXPECT_THAT(profile.Verdict("sendto", {5, 1, 1, MSG_NOSIGNAL, 0, 0}), IsAllowed())
          << Label(profile);
    }
    const bool makes_sockets = profile.AllowsRingOperation(IORING_OP_CONNECT);
    EXPECT_EQ(profile.profile().sends_by_writing, makes_sockets) << Label(profile);
    EXPECT_FALSE(makes_sockets && profile.AllowsRingOperation(IORING_OP_SEND)) << Label(profile);
  }
}

TEST(EveryProfile, GivesAReasonForEachGrant) {
  for (const CompiledProfile& profile : EveryProfile()) {
    EXPECT_GE(profile.profile().reasons.size(), profile.profile().syscalls.size());
    for (const std::string& reason : profile.profile().reasons) {
      const size_t colon = reason.find(": ");
      ASSERT_NE(colon, reason.npos) << Label(profile) << reason;
      EXPECT_GT(reason.size(), colon + 4) << Label(profile) << reason;
    }
  }
}

}  // namespace
}  // namespace postern::sandbox
