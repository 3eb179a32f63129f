// Daemons' profiles in force, each in a child of its own.
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>

#include <gtest/gtest.h>

#include "common/base/fstat.h"
#include "common/io/file.h"
#include "sandbox/profiles/profiles.h"
#include "tests/sandbox/confined_child.h"

namespace postern::sandbox {
namespace {

io::Task<absl::Status> Create(int directory, const char* name) {
  co_return (co_await io::OpenBeneath(io::Loop::Current(), directory, name, O_WRONLY | O_CREAT,
                                      0600, io::Deadline::Never()))
      .status();
}

class Live : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    SKIP_UNDER_A_SANITIZER();
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
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST_P(Live, AbortStillSaysWhatItIs) {
  const int status = InConfinedChild(PolicydProfile(GetParam()), []() -> int { ::abort(); });
  EXPECT_TRUE(DiedOf(status, SIGABRT)) << status;
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
      {"abort another",
       [] { return static_cast<int>(::syscall(SYS_tgkill, ::getppid(), ::getppid(), SIGABRT)); }},
      {"look at a file",
       [] {
         struct stat about;
         return ::stat("/etc/passwd", &about);
       }},
      {"call as another architecture does",
       [] { return static_cast<int>(::syscall(SYS_write | 0x40000000, 1, "", 0)); }},
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
  const Profile profile = SmtpcProfile(GetParam(), {25}, false);
  const auto make = [](int domain, int type, int protocol) {
    return [=] { return ::socket(domain, type, protocol) >= 0 ? 5 : 6; };
  };
  const int good =
      InConfinedChild(profile, make(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(EndedWith(good, 5)) << good;
  EXPECT_TRUE(DiedOfSigsys(InConfinedChild(profile, make(AF_INET, SOCK_DGRAM, 0))));
  EXPECT_TRUE(DiedOfSigsys(
      InConfinedChild(profile, make(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))));
  EXPECT_TRUE(DiedOfSigsys(
      InConfinedChild(profile, make(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 262))))
      << "MPTCP";
  EXPECT_TRUE(DiedOfSigsys(InConfinedChild(profile, make(AF_NETLINK, SOCK_RAW, 0))));
}

// What libc's fstat would do is an act of its own here: see common/base/fstat.h.
TEST_P(Live, DescriptorsAreLookedAtByFstatAlone) {
  const int looked = InConfinedChild(SmtpdProfile(GetParam()), [] {
    struct stat about;
    return Fstat(2, &about) == 0 ? 5 : 6;
  });
  EXPECT_TRUE(EndedWith(looked, 5)) << looked;
  const int by_path = InConfinedChild(SmtpdProfile(GetParam()), [] {
    struct stat about;
    return static_cast<int>(
        ::syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &about, AT_EMPTY_PATH));
  });
  EXPECT_TRUE(DiedOfSigsys(by_path)) << by_path;
}

TEST_P(Live, DeliverWritesBelowItsMailboxAndNowhereElse) {
  char name[] = "/tmp/postern-mailbox-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  UniqueFd mailbox(::open(name, O_PATH | O_DIRECTORY | O_CLOEXEC));
  const int directory = mailbox.get();
  const Profile profile = DeliverProfile(GetParam(), std::move(mailbox));
  const auto make = [=](const char* file) {
    return [=] { return io::Loop::Current().Run(Create(directory, file)).ok() ? 5 : 6; };
  };
  EXPECT_TRUE(EndedWith(InConfinedChild(profile, make("inside")), 5));
  EXPECT_EQ(::access((std::string(name) + "/inside").c_str(), F_OK), 0);
  EXPECT_TRUE(EndedWith(InConfinedChild(profile, make("../postern-outside")), 6));
  EXPECT_NE(::access("/tmp/postern-outside", F_OK), 0);
  ::unlink((std::string(name) + "/inside").c_str());
  ::rmdir(name);
}

TEST_P(Live, QmgrListsItsSpool) {
  char name[] = "/tmp/postern-spool-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const UniqueFd spool(::open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Profile profile =
      QmgrProfile(GetParam(), UniqueFd(::open(name, O_PATH | O_DIRECTORY | O_CLOEXEC)));
  const int status = InConfinedChild(profile, [&] {
    const int again = ::openat(spool.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char entries[1024];
    return ::syscall(SYS_getdents64, again, entries, sizeof entries) > 0 ? 5 : 7;
  });
  EXPECT_TRUE(EndedWith(status, 5)) << status;
  ::rmdir(name);
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
  EXPECT_TRUE(EndedWith(status, 5)) << status;
  status = InConfinedChild(profile, open("/etc/passwd", O_RDONLY));
  EXPECT_TRUE(EndedWith(status, 6)) << "Landlock: " << status;
  ::unlink(inside.c_str());
  ::rmdir(name);
}

}  // namespace
}  // namespace postern::sandbox
