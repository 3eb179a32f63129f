#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "sandbox/constants.h"
#include "tests/sandbox/confined_child.h"

namespace postern::sandbox {
namespace {

constexpr uid_t kNobodys = 64200;

bool HasCapabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2]{};
  if (::syscall(SYS_capget, &header, sets) != 0) return true;
  for (const auto& set : sets) {
    if ((set.effective | set.permitted | set.inheritable) != 0) return true;
  }
  return ::prctl(PR_CAPBSET_READ, CAP_SETUID, 0, 0, 0) != 0;
}

TEST(Identity, IsDroppedForGood) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const int status = InChild([] {
    const gid_t group = 4;
    if (::setgroups(1, &group) != 0) return 1;
    if (!DropIdentity({.drop = true, .uid = kNobodys, .gid = kNobodys}).ok()) return 2;
    if (::getuid() != kNobodys || ::getegid() != kNobodys) return 3;
    if (::getgroups(0, nullptr) != 0) return 4;
    if (::setuid(0) == 0 || ::seteuid(0) == 0 || ::setgid(0) == 0) return 5;
    if (HasCapabilities()) return 6;
    return ::open("/etc/shadow", O_RDONLY) < 0 ? 7 : 8;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST(Identity, IsNeverRoots) {
  const struct {
    const char* label;
    Identity identity;
  } rows[] = {{"uid", {.drop = true, .uid = 0, .gid = kNobodys}},
              {"gid", {.drop = true, .uid = kNobodys, .gid = 0}},
              {"both", {.drop = true, .uid = 0, .gid = 0}}};
  for (const auto& row : rows) {
    const absl::Status refused = DropIdentity(row.identity);
    EXPECT_FALSE(refused.ok()) << row.label;
    EXPECT_TRUE(Message(refused).starts_with("ids: ")) << refused.ToString();
  }
}

TEST(Identity, ThatStaysGivesUpItsCapabilities) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root has capabilities to give up";
  const int status = InChild([] {
    // An ordinary user with capabilities, as a service manager may start one.
    if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || ::setresuid(kNobodys, kNobodys, kNobodys) != 0)
      return 1;
    if (!DropIdentity({.drop = false}).ok()) return 2;
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct sets[2]{};
    if (::syscall(SYS_capget, &header, sets) != 0) return 3;
    return (sets[0].permitted | sets[1].permitted) == 0 ? 7 : 4;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST(Identity, CannotBeDroppedWithoutThePowerTo) {
  const int status = InChild([] {
    if (::geteuid() == 0 && ::setresuid(kNobodys, kNobodys, kNobodys) != 0) return 1;
    return DropIdentity({.drop = true, .uid = 64201, .gid = 64201}).ok() ? 2 : 7;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST(Harden, TakesNewPrivilegesAndOthersLooksAway) {
  const int status = InChild([] {
    if (!HardenProcess().ok()) return 1;
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 2;
    if (::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return 3;
    if (!HardenProcess().ok()) return 4;  // master did it before its children do
    return 7;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST(Harden, WrittenMemoryNeverBecomesCode) {
  if (::prctl(kGetMdwe, 0, 0, 0, 0) < 0) GTEST_SKIP() << "before Linux 6.3 there is no MDWE";
  const int status = InChild([] {
    alignas(4096) static char page[4096];
    if (!RefuseExecGain().ok()) return 1;
    if (!RefuseExecGain().ok()) return 4;  // whoever started us may have it
    if (::mprotect(page, sizeof page, PROT_READ | PROT_EXEC) == 0) return 2;
    return errno == EACCES ? 7 : 3;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST(Harden, SaysThatTheKernelLacksWhatItLacks) {
  const bool known = ::prctl(kGetMdwe, 0, 0, 0, 0) >= 0;
  const int status = InChild([known] {
    const absl::Status refused = RefuseExecGain();
    if (!refused.ok() && !Message(refused).starts_with("mdwe: ")) return 1;
    return refused.ok() == known ? 7 : 2;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST(BorrowedIdentity, IsGivenBack) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const int status = InChild([] {
    {
      const auto borrowed =
          BorrowedIdentity::Take({.drop = true, .uid = kNobodys, .gid = kNobodys});
      if (!borrowed.ok() || ::geteuid() != kNobodys || ::getegid() != kNobodys) return 1;
      if (::open("/etc/shadow", O_RDONLY) >= 0) return 2;
      if (::getgroups(0, nullptr) != 0) return 3;
    }
    if (::geteuid() != 0 || ::getegid() != 0) return 4;
    return DropIdentity({.drop = true, .uid = kNobodys, .gid = kNobodys}).ok() ? 7 : 5;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST(BorrowedIdentity, ChangesNothingForWhoKeepsHisOwn) {
  const int status = InChild([] {
    const auto borrowed = BorrowedIdentity::Take({.drop = false, .uid = kNobodys, .gid = kNobodys});
    return borrowed.ok() && ::geteuid() == ::getuid() ? 7 : 1;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

}  // namespace
}  // namespace postern::sandbox
