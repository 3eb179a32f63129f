#include "sandbox/namespaces.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/check.h"
#include "tests/sandbox/confined_child.h"
#include "tests/testing/kernel_layers.h"

namespace postern::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kOthers = 64200;
constexpr int kNotEntered = 120;
constexpr int kNoWord = 121;

void WriteAll(const std::string& path, const std::string& text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  CHECK(file.valid());
  CHECK(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

// As master does for a daemon when it is root.
absl::Status MapAll(pid_t pid) {
  for (const char* map : {"/gid_map", "/uid_map"})
    WriteAll("/proc/" + std::to_string(pid) + map, "0 0 4294967295\n");
  return absl::OkStatus();
}

// The wait status of the process that entered and did `act` there, as its parent hears of it.
int Inside(const Namespaces& namespaces, const std::function<int()>& act, Outside outside = {}) {
  int ends[2];
  CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd told(ends[0]);
  UniqueFd tell(ends[1]);
  const int status = InChild([&] {
    outside.moved = [&](pid_t pid) -> absl::Status {
      if (::write(tell.get(), &pid, sizeof pid) != sizeof pid) ::_exit(kNoWord);
      return absl::OkStatus();
    };
    const absl::StatusOr<pid_t> entered = EnterNamespaces(namespaces, outside);
    if (!entered.ok())
      return std::fprintf(stderr, "%s\n", entered.status().ToString().c_str()), kNotEntered;
    return act();
  });
  tell.reset();
  pid_t pid = 0;
  if (::read(told.get(), &pid, sizeof pid) != sizeof pid) return status;
  EXPECT_EQ(status, 0) << "who was replaced ends well";
  int end = -1;
  EXPECT_EQ(::waitpid(pid, &end, 0), pid) << "our child, though another one's copy";
  return end;
}

class NamespacesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = test::WhyMissing("namespaces"); !why.empty())
      GTEST_SKIP() << "no namespaces here: " << why;
    char name[] = "/tmp/postern-namespaces-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    fs::create_directories(directory_ / "shown" / "below");
    std::ofstream(directory_ / "shown" / "file") << "text";
    std::ofstream(directory_ / "hidden") << "text";
  }
  void TearDown() override {
    if (!directory_.empty()) fs::remove_all(directory_);
  }

  std::string shown() const { return directory_ / "shown"; }

  fs::path directory_;
};

TEST_F(NamespacesTest, TheRootIsEmptyAndReadOnly) {
  const int status = Inside({}, [] {
    std::error_code error;
    if (!fs::is_empty("/", error) || error) return 1;
    struct stat about;
    if (::stat("/etc/passwd", &about) == 0 || errno != ENOENT) return 2;
    if (::stat("/proc/self", &about) == 0) return 3;
    if (::mkdir("/made", 0700) == 0 || errno != EROFS) return 4;
    if (::open("/file", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EROFS) return 5;
    struct statvfs flags;
    if (::statvfs("/", &flags) != 0) return 6;
    constexpr unsigned long kFlags = ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC;
    return (flags.f_flag & kFlags) == kFlags ? 7 : 8;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST_F(NamespacesTest, TheOldRootCannotBeWalkedBackTo) {
  const int status = Inside({}, [] {
    struct stat root;
    struct stat above;
    if (::stat("/", &root) != 0 || ::stat("/../..", &above) != 0) return 1;
    if (root.st_ino != above.st_ino || root.st_dev != above.st_dev) return 2;
    if (::stat(".", &above) != 0 || above.st_ino != root.st_ino) return 3;
    // Nothing is mounted on the root, nor lies it on another.
    return ::umount2("/", MNT_DETACH) == 0 ? 4 : 7;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST_F(NamespacesTest, TheNetworkIsEmptyUnlessItIsKept) {
  const auto interfaces = [] {
    const UniqueFd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifaddrs* all = nullptr;
    if (!any.valid() || ::getifaddrs(&all) != 0) return 100;
    int running = 0;
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next)
      running += one->ifa_addr != nullptr && one->ifa_addr->sa_family == AF_INET ? 1 : 0;
    ::freeifaddrs(all);
    return running;
  };
  EXPECT_TRUE(EndedWith(Inside({}, interfaces), 0));
  EXPECT_TRUE(EndedWith(Inside({.keep_network = true, .shown = {}}, interfaces), interfaces()));
}

TEST_F(NamespacesTest, NoOtherProcessIsSeenOrReached) {
  const pid_t parent = ::getpid();
  const int status = Inside({}, [&] {
    if (::getpid() != 1 || ::getppid() != 0) return 1;
    if (::kill(parent, 0) == 0 || errno != ESRCH) return 2;
    return ::syscall(SYS_pidfd_open, parent, 0) < 0 && errno == ESRCH ? 7 : 3;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST_F(NamespacesTest, ThatManyAreNew) {
  constexpr const char* kNames[] = {"user", "mnt", "ipc", "uts", "pid", "net"};
  for (const bool keep : {false, true}) {
    const Namespaces wanted{.keep_network = keep, .shown = {}};
    int fresh = 0;
    Outside watching;
    const int status = InChild([&] {
      watching.moved = [&](pid_t pid) -> absl::Status {
        for (const char* name : kNames) {
          const std::string theirs = "/proc/" + std::to_string(pid) + "/ns/" + name;
          const std::string ours = std::string("/proc/self/ns/") + name;
          fresh += fs::read_symlink(theirs) != fs::read_symlink(ours) ? 1 : 0;
        }
        ::_exit(fresh);  // the new one ends, too
      };
      return EnterNamespaces(wanted, watching).ok() ? kNotEntered : kNoWord;
    });
    EXPECT_TRUE(EndedWith(status, wanted.count())) << status;
    EXPECT_GT(::waitpid(-1, nullptr, 0), 0) << "the new one, which nobody let go on";
  }
}

TEST_F(NamespacesTest, IdsAreThoseItHadBefore) {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  const int status = Inside({}, [&] {
    if (::getuid() != uid || ::geteuid() != uid) return 1;
    return ::getgid() == gid && ::getegid() == gid ? 7 : 2;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST_F(NamespacesTest, IdsOfOthersAreKnownWhenMappedFromOutside) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can map the ids of others";
  ASSERT_EQ(::chown((directory_ / "shown" / "file").c_str(), kOthers, kOthers), 0);
  const int status = Inside({.keep_network = false, .shown = {{.path = shown()}}},
                            [&] {
                              struct stat about;
                              if (::stat((shown() + "/file").c_str(), &about) != 0) return 1;
                              if (about.st_uid != kOthers || about.st_gid != kOthers) return 2;
                              const absl::Status dropped =
                                  DropIdentity({.drop = true, .uid = kOthers, .gid = kOthers});
                              return dropped.ok() && ::getuid() == kOthers ? 7 : 3;
                            },
                            {.map_ids = MapAll});
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST_F(NamespacesTest, ShownDirectoriesAreThereAndWritable) {
  const int status = Inside({.keep_network = false, .shown = {{.path = shown()}}}, [&] {
    struct stat about;
    if (::stat((shown() + "/file").c_str(), &about) != 0) return 1;
    if (::stat((directory_ / "hidden").c_str(), &about) == 0 || errno != ENOENT) return 2;
    if (::open((shown() + "/made").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0) return 3;
    struct statvfs flags;
    if (::statvfs(shown().c_str(), &flags) != 0) return 4;
    constexpr unsigned long kFlags = ST_NOSUID | ST_NODEV | ST_NOEXEC;
    return (flags.f_flag & kFlags) == kFlags && (flags.f_flag & ST_RDONLY) == 0 ? 7 : 5;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
  EXPECT_TRUE(fs::exists(shown() + "/made"));
}

TEST_F(NamespacesTest, NothingLeadsUpFromAShownDirectory) {
  const int status = Inside({.keep_network = false, .shown = {{.path = shown()}}}, [&] {
    const UniqueFd below(::open(shown().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!below.valid()) return 1;
    struct stat about;
    if (::fstatat(below.get(), "../hidden", &about, 0) == 0 || errno != ENOENT) return 2;
    return ::fstatat(below.get(), "../../../etc/passwd", &about, 0) == 0 ? 3 : 7;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST_F(NamespacesTest, WhatDoesNotExistIsLeftOutAndWhatIsCoveredIsShownOnce) {
  const Namespaces namespaces{.keep_network = false,
                              .shown = {{.path = shown() + "/below"},
                                        {.path = directory_ / "missing"},
                                        {.path = shown() + "/"},
                                        {.path = shown()}}};
  const int status = Inside(namespaces, [&] {
    struct stat about;
    if (::stat((directory_ / "missing").c_str(), &about) == 0 || errno != ENOENT) return 1;
    return ::stat((shown() + "/below").c_str(), &about) == 0 ? 7 : 2;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST_F(NamespacesTest, AFailureLeavesTheOldProcessAsItWas) {
  const struct {
    const char* label;
    Shown shown;
    const char* reason;
  } rows[] = {
      {"all", {.path = "/"}, "cannot be shown"},
      {"relative", {.path = "tmp"}, "cannot be shown"},
      {"a file", {.path = directory_ / "hidden"}, "Not a directory"},
      {"cannot be opened",
       {.path = "/x", .open = []() -> absl::StatusOr<UniqueFd> { return NotFound("no door"); }},
       "no door"},
  };
  for (const auto& row : rows) {
    const int status = InChild([&row] {
      const pid_t before = ::getpid();
      const auto entered = EnterNamespaces({.keep_network = false, .shown = {row.shown}}, {});
      if (entered.ok()) return 1;
      if (Message(entered.status()).find(row.reason) == std::string_view::npos)
        return std::fprintf(stderr, "%s\n", entered.status().ToString().c_str()), 2;
      return ::getpid() == before && fs::exists("/proc/self/status") ? 7 : 3;
    });
    EXPECT_TRUE(EndedWith(status, 7)) << row.label << ": " << status;
    EXPECT_GT(::waitpid(-1, nullptr, 0), 0) << "the one that tried it";
  }
}

TEST_F(NamespacesTest, WithoutIdsFromOutsideNothingIsEntered) {
  const int status = InChild([] {
    const auto refused = EnterNamespaces(
        {}, {.map_ids = [](pid_t) { return FailedPrecondition("no ids for you"); }});
    if (refused.ok()) return 1;
    return Message(refused.status()) == "namespaces: map ids: no ids for you" ? 7 : 2;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
  EXPECT_GT(::waitpid(-1, nullptr, 0), 0);
}

// Process 1 of a PID namespace ignores signals that have no handler; a failed CHECK must not.
TEST_F(NamespacesTest, AFailedCheckEndsIt) {
  const int status = Inside({}, [] {
    ::close(STDERR_FILENO);
    CHECK(::getpid() != 1);
    return 7;
  });
  // A sanitizer catches the fault that ends abort(), and exits.
  EXPECT_TRUE(WIFSIGNALED(status) || (kSanitized && WEXITSTATUS(status) == 1)) << status;
}

TEST_F(NamespacesTest, AFilterKillsIt) {
  SKIP_UNDER_A_SANITIZER();
  const int status = Inside({}, [] {
    const Profile profile = ProfileBuilder("test", Backend::kEpoll).KillTheRest();
    if (!HardenProcess().ok() || !Seal(profile, -1).ok()) return 1;
    return static_cast<int>(::syscall(SYS_getppid));
  });
  EXPECT_TRUE(DiedOfSigsys(status)) << status;
}

}  // namespace
}  // namespace postern::sandbox
