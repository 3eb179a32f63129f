#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "common/io/loop.h"
#include "common/io/probe.h"
#include "sandbox/confine.h"
#include "sandbox/profiles/profiles.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POSTERN_SANITIZED 1
#endif
#endif

namespace postern::sandbox {
namespace {

// Runs `act` in a child of its own, confined by `profile`; the wait status.
int InConfinedChild(const Profile& profile, const std::function<int()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    int abi = 0;
    io::LoopOptions options;
    options.backend =
        profile.backend == Backend::kUring ? io::BackendKind::kUring : io::BackendKind::kEpoll;
    options.restrict_ring = [&profile](int ring) { return RestrictRing(ring, profile); };
    if (!HardenProcess().ok() || !EnterLandlock(profile, abi).ok()) ::_exit(101);
    auto loop = io::Loop::Create(options);
    if (!loop.ok()) ::_exit(102);
    if (profile.backend == Backend::kUring &&
        !VerifyRingRestricted((*loop)->registered_ring_index()).ok())
      ::_exit(103);
    if (!Seal(profile, (*loop)->registered_ring_index()).ok()) ::_exit(104);
    ::_exit(act());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

bool DiedOfSigsys(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS; }

class Live : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
#if defined(POSTERN_SANITIZED)
    GTEST_SKIP() << "a sanitizer makes system calls of its own, which the filter kills";
#endif
    if (GetParam() == Backend::kUring && !io::UringWorks())
      GTEST_SKIP() << "io_uring is refused here";
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, Live, ::testing::Values(Backend::kUring, Backend::kEpoll),
                         [](const auto& info) {
                           return info.param == Backend::kUring ? "uring" : "epoll";
                         });

TEST_P(Live, AConfinedProcessStillLivesThinksAndEnds) {
  const int status = InConfinedChild(PolicydProfile(GetParam()), [] {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += "memory";
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return text.size() == 600'000 ? 7 : 1;
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
}

TEST_P(Live, ForbiddenActsKill) {
  const struct {
    const char* label;
    std::function<int()> act;
  } acts[] = {
      {"open a file",
       [] { return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY)); }},
      {"make a socket", [] { return ::socket(AF_INET, SOCK_STREAM, 0); }},
      {"run a program", [] { return ::execl("/bin/true", "true", nullptr); }},
      {"fork", [] { return static_cast<int>(::syscall(SYS_fork)); }},
      {"make a thread", [] { return static_cast<int>(::syscall(SYS_clone, 0, 0, 0, 0, 0)); }},
      {"trace", [] { return static_cast<int>(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }},
      {"signal another", [] { return ::kill(1, 0); }},
      {"map code",
       [] {
         return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                MAP_FAILED;
       }},
      {"make memory code",
       [] {
         static char page[8192];
         return ::mprotect(page, 4096, PROT_READ | PROT_EXEC);
       }},
      {"make a ring",
       [] {
         io_uring_params params{};
         return static_cast<int>(::syscall(SYS_io_uring_setup, 4, &params));
       }},
      {"change a ring",
       [] { return static_cast<int>(::syscall(SYS_io_uring_register, -1, 0, nullptr, 0)); }},
      {"load a program into the kernel",
       [] { return static_cast<int>(::syscall(SYS_bpf, 0, nullptr, 0)); }},
      {"change itself", [] { return static_cast<int>(::syscall(SYS_prctl, 38, 1, 0, 0, 0)); }},
      {"become another user", [] { return ::setuid(1); }},
      {"unmake the file system",
       [] { return static_cast<int>(::syscall(SYS_unshare, 0x10000000)); }},
      {"raise a limit",
       [] {
         const rlimit more{.rlim_cur = 100, .rlim_max = 100};
         return ::setrlimit(RLIMIT_NOFILE, &more);
       }},
  };
  const Profile profiles[] = {SmtpdProfile(GetParam()), PolicydProfile(GetParam()),
                              BouncedProfile(GetParam()), LocaldProfile(GetParam())};
  for (const Profile& profile : profiles) {
    for (const auto& [label, act] : acts) {
      const int status = InConfinedChild(profile, act);
      EXPECT_TRUE(DiedOfSigsys(status)) << profile.name << " could " << label << ": " << status;
    }
  }
}

TEST_P(Live, SmtpcMakesStreamSocketsAndNoOthers) {
  const Profile profile = SmtpcProfile(GetParam(), false);
  const auto make = [](int domain, int type, int protocol) {
    return [=] { return ::socket(domain, type, protocol) >= 0 ? 5 : 6; };
  };
  const int good =
      InConfinedChild(profile, make(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(WIFEXITED(good) && WEXITSTATUS(good) == 5) << good;
  EXPECT_TRUE(DiedOfSigsys(InConfinedChild(profile, make(AF_INET, SOCK_DGRAM, 0))));
  EXPECT_TRUE(DiedOfSigsys(
      InConfinedChild(profile, make(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))));
  EXPECT_TRUE(DiedOfSigsys(
      InConfinedChild(profile, make(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 262))))
      << "MPTCP";
  EXPECT_TRUE(DiedOfSigsys(InConfinedChild(profile, make(AF_NETLINK, SOCK_RAW, 0))));
}

TEST_P(Live, QmgrOpensItsSpoolAndNothingElse) {
  char name[] = "/tmp/postern-spool-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const Profile profile =
      QmgrProfile(GetParam(), UniqueFd(::open(name, O_PATH | O_DIRECTORY | O_CLOEXEC)));
  const std::string inside = std::string(name) + "/file";
  const auto open = [](std::string path, int flags) {
    return [=] { return ::syscall(SYS_openat, AT_FDCWD, path.c_str(), flags, 0600) >= 0 ? 5 : 6; };
  };
  int status = InConfinedChild(profile, open(inside, O_RDWR | O_CREAT));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5) << status;
  status = InConfinedChild(profile, open("/etc/passwd", O_RDONLY));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 6) << "Landlock: " << status;
  ::unlink(inside.c_str());
  ::rmdir(name);
}

TEST(Ring, AnOperationOutsideTheListIsRefusedByTheKernel) {
  if (!io::UringWorks()) GTEST_SKIP() << "io_uring is refused here";
  io_uring ring;
  io_uring_params params{};
  params.flags = IORING_SETUP_R_DISABLED;
  ASSERT_EQ(io_uring_queue_init_params(8, &ring, &params), 0);
  ASSERT_TRUE(RestrictRing(ring.ring_fd, PolicydProfile(Backend::kUring)).ok());
  ASSERT_EQ(
      ::syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0), 0);
  io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
  ASSERT_EQ(io_uring_submit(&ring), 1);
  io_uring_cqe* cqe = nullptr;
  ASSERT_EQ(io_uring_wait_cqe(&ring, &cqe), 0);
  EXPECT_EQ(cqe->res, -EACCES);
  io_uring_queue_exit(&ring);
}

TEST(Ring, AnOperationTheKernelDoesNotKnowIsFatalAndNeverAnOpenRing) {
  if (!io::UringWorks()) GTEST_SKIP() << "io_uring is refused here";
  io_uring ring;
  io_uring_params params{};
  params.flags = IORING_SETUP_R_DISABLED;
  ASSERT_EQ(io_uring_queue_init_params(8, &ring, &params), 0);
  Profile profile = PolicydProfile(Backend::kUring);
  profile.ring_operations.push_back(250);
  EXPECT_FALSE(RestrictRing(ring.ring_fd, profile).ok());
  io_uring_queue_exit(&ring);
}

TEST(Identity, IsDroppedForGood) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const pid_t child = ::fork();
  if (child == 0) {
    if (!DropIdentity({.drop = true, .uid = 64200, .gid = 64200}).ok()) ::_exit(1);
    if (::getuid() != 64200 || ::getgid() != 64200 || ::setuid(0) == 0) ::_exit(2);
    ::_exit(::open("/etc/shadow", O_RDONLY) < 0 ? 7 : 3);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
  EXPECT_FALSE(DropIdentity({.drop = true, .uid = 0, .gid = 0}).ok()) << "a daemon as root";
}

TEST(Profiles, NobodyMayRunProgramsOrMakeRings) {
  for (const Backend backend : {Backend::kUring, Backend::kEpoll}) {
    for (const Profile& profile :
         {SmtpdProfile(backend), PolicydProfile(backend), ResolvdProfile(backend),
          QmgrProfile(backend, UniqueFd()), SmtpcProfile(backend, true), LocaldProfile(backend),
          DeliverProfile(backend, UniqueFd()), BouncedProfile(backend)}) {
      std::set<std::string> names;
      for (const SyscallRule& rule : profile.syscalls) names.insert(rule.name);
      for (const char* never :
           {"execve", "execveat", "clone", "clone3", "fork", "vfork", "ptrace", "io_uring_setup",
            "io_uring_register", "prctl", "bpf", "kill", "setuid"}) {
        EXPECT_FALSE(names.contains(never)) << profile.name << " " << never;
      }
      const bool may_make_sockets = profile.name == "smtpc" || profile.name == "resolvd";
      EXPECT_EQ(names.contains("socket"), may_make_sockets) << profile.name;
      EXPECT_TRUE(ExportFilter(profile, 0).ok()) << profile.name;
      EXPECT_EQ(profile.ring_operations.empty(), backend == Backend::kEpoll) << profile.name;
    }
  }
}

}  // namespace
}  // namespace postern::sandbox
