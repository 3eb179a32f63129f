#include <gtest/gtest.h>
#include <seccomp.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "sandbox/profiles/profiles.h"
#include "tests/sandbox/compiled_profile.h"
#include "tests/sandbox/confined_child.h"

namespace postern::sandbox {
namespace {

TEST(Seccomp, RefusedCallsGetTheirErrno) {
  const CompiledProfile profile(ProfileBuilder("test", Backend::kEpoll)
                                    .Refuse("openat", EACCES, "a library asks and copes")
                                    .KillTheRest());
  EXPECT_THAT(profile.Verdict("openat"), IsRefusedWith(EACCES));
  EXPECT_THAT(profile.Verdict("openat", {kOdd, kOdd, kOdd}), IsRefusedWith(EACCES));
  EXPECT_THAT(profile.Verdict("open"), IsKilled());
}

TEST(Seccomp, ACallIsNotBothAllowedAndRefused) {
  for (const bool refuse_first : {true, false}) {
    ProfileBuilder builder("test", Backend::kEpoll);
    if (refuse_first) builder.Refuse("openat", EACCES, "one");
    builder.Allow("openat", {Argument::Equals(0, 3)}, "the other");
    if (!refuse_first) builder.Refuse("openat", EACCES, "one");
    const auto filter = ExportFilter(builder.KillTheRest(), -1);
    ASSERT_FALSE(filter.ok());
    EXPECT_NE(Message(filter.status()).find("openat is both allowed and refused"),
              std::string_view::npos);
  }
}

TEST(Seccomp, ACallIsAllowedOrRefusedByItsArguments) {
  const CompiledProfile profile(ProfileBuilder("test", Backend::kEpoll)
                                    .Allow("sendmsg", {Argument::Masked(2, 4, 0)}, "without")
                                    .Refuse("sendmsg", {Argument::Masked(2, 4, 4)}, EACCES, "with")
                                    .KillTheRest());
  EXPECT_THAT(profile.Verdict("sendmsg", {1, 1, 3}), IsAllowed());
  EXPECT_THAT(profile.Verdict("sendmsg", {1, 1, 7}), IsRefusedWith(EACCES));
  ProfileBuilder both("test", Backend::kEpoll);
  both.Refuse("sendmsg", {Argument::Masked(2, 4, 4)}, EACCES, "some").Allow("sendmsg", {}, "all");
  EXPECT_FALSE(ExportFilter(both.KillTheRest(), -1).ok());
}

TEST(Seccomp, AllArgumentsOfARuleMustHoldAndAnyRuleMayDo) {
  const CompiledProfile profile(
      ProfileBuilder("test", Backend::kEpoll)
          .Allow("ioctl", {Argument::Equals(0, 4), Argument::Masked(1, 0xF0, 0x20)}, "one")
          .Allow("ioctl", {Argument::Equals(0, 9)}, "another")
          .KillTheRest());
  const struct {
    uint64_t first, second;
    bool allowed;
  } rows[] = {{4, 0x20, true},  {4, 0x2F, true}, {4, 0x30, false}, {4, 0, false},
              {5, 0x20, false}, {9, 0x30, true}, {8, 0x20, false}, {4 | 1ull << 32, 0x20, false},
              {9, kOdd, true}};
  for (const auto& row : rows) {
    EXPECT_EQ(profile.Verdict("ioctl", {row.first, row.second}) == SECCOMP_RET_ALLOW, row.allowed)
        << row.first << " " << row.second;
  }
}

TEST(Seccomp, AllowedAtAllWinsOverAllowedWithArguments) {
  for (const bool all_first : {true, false}) {
    ProfileBuilder builder("test", Backend::kEpoll);
    if (all_first) builder.AllowAll({"ioctl"}, "all");
    builder.Allow("ioctl", {Argument::Equals(0, 4)}, "some");
    if (!all_first) builder.AllowAll({"ioctl"}, "all");
    EXPECT_THAT(CompiledProfile(builder.KillTheRest()).Verdict("ioctl", {5}), IsAllowed());
  }
}

TEST(Seccomp, ARingWithoutAnIndexIsAnError) {
  EXPECT_FALSE(ExportFilter(PolicydProfile(Backend::kUring), -1).ok());
  EXPECT_TRUE(ExportFilter(PolicydProfile(Backend::kUring), 0).ok());
  EXPECT_TRUE(ExportFilter(PolicydProfile(Backend::kEpoll), -1).ok());
}

TEST(Seal, SetsTheLimitsAndThenTheFilter) {
  SKIP_UNDER_A_SANITIZER();
  const Profile profile = ProfileBuilder("test", Backend::kEpoll)
                              .AllowAll({"prlimit64"}, "to look at them here")
                              .Limit(RLIMIT_NOFILE, 20)
                              .KillTheRest();
  const int status = InConfinedChild(profile, [] {
    const struct {
      __rlimit_resource resource;
      uint64_t value;
    } rows[] = {{RLIMIT_CORE, 0}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_NOFILE, 20}};
    for (const auto& row : rows) {
      rlimit now{};
      if (::getrlimit(row.resource, &now) != 0) return 1;
      if (now.rlim_cur != row.value || now.rlim_max != row.value) return 2;
    }
    return 7;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
  const int killed =
      InConfinedChild(profile, [] { return static_cast<int>(::syscall(SYS_getuid)); });
  EXPECT_TRUE(DiedOfSigsys(killed)) << killed;
}

TEST(Seal, ATighterLimitStays) {
  const int status = InChild([] {
    const rlimit low{.rlim_cur = 10, .rlim_max = 10};
    if (::geteuid() == 0 && ::setresuid(64200, 64200, 64200) != 0) return 1;
    if (::setrlimit(RLIMIT_NOFILE, &low) != 0) return 2;
    const Profile profile =
        ProfileBuilder("test", Backend::kEpoll).Limit(RLIMIT_NOFILE, 11).KillTheRest();
    if (!LimitResources(profile).ok()) return 3;
    rlimit now{};
    if (::getrlimit(RLIMIT_NOFILE, &now) != 0) return 4;
    return now.rlim_cur == 10 && now.rlim_max == 10 ? 7 : 5;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST(Seal, ALimitThatCannotBeSetIsAnErrorThatNamesTheLayer) {
  const int status = InChild([] {
    // As a container's filter might do it.
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 0) != 0) return 1;
    if (seccomp_load(filter) != 0) return 2;
    const absl::Status refused = LimitResources(
        ProfileBuilder("test", Backend::kEpoll).Limit(RLIMIT_NOFILE, 11).KillTheRest());
    return !refused.ok() && Message(refused).starts_with("rlimits: ") ? 7 : 3;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

}  // namespace
}  // namespace postern::sandbox
