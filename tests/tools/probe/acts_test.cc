#include "tools/probe/acts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "sandbox/profiles/profiles.h"
#include "tools/probe/roles.h"

namespace postern::probe {
namespace {

using sandbox::Backend;

constexpr unsigned kOperations = 63;

TEST(Acts, AreMoreThanAHundredEachOnce) {
  for (const Backend backend : {Backend::kUring, Backend::kEpoll}) {
    const std::vector<Act> acts = ActsFor(sandbox::SmtpdProfile(backend), kOperations);
    std::set<std::string> names;
    for (const Act& act : acts) EXPECT_TRUE(names.insert(act.name).second) << act.name;
    EXPECT_GE(acts.size(), backend == Backend::kUring ? 400u : 300u);
  }
}

TEST(Acts, AllowancesNameRolesAndReasons) {
  const std::vector<std::string>& roles = RoleNames();
  for (const Act& act : ActsFor(sandbox::QmgrProfile(Backend::kUring, UniqueFd()), kOperations)) {
    EXPECT_EQ(act.allowed.roles.empty(), act.allowed.reason.empty()) << act.name;
    for (const std::string& role : act.allowed.roles)
      EXPECT_NE(std::ranges::find(roles, role), roles.end()) << act.name << " " << role;
    EXPECT_FALSE(act.group.empty()) << act.name;
  }
}

// An operation that the profile lists is its own; any other is tried.
TEST(Acts, FollowTheListOfTheRing) {
  const sandbox::Profile profile = sandbox::PolicydProfile(Backend::kUring);
  size_t own = 0, tried = 0;
  for (const Act& act : ActsFor(profile, kOperations)) {
    if (!act.name.starts_with("have the ring do ")) continue;
    ++(act.allowed.Covers("policyd") ? own : tried);
  }
  EXPECT_EQ(own, profile.ring_operations.size());
  EXPECT_EQ(own + tried, kOperations + 1);
}

TEST(Acts, WithoutARingNoneAsksOne) {
  for (const Act& act : ActsFor(sandbox::PolicydProfile(Backend::kEpoll), kOperations))
    EXPECT_FALSE(act.needs_ring) << act.name;
}

TEST(Acts, OnlyARefusalIsOne) {
  const Act plain{.group = "", .name = "", .attempt = {}, .refusals = {EINVAL}};
  for (const int refusal : {ENOSYS, EPERM, EACCES, EINVAL})
    EXPECT_TRUE(IsRefused(plain, -refusal)) << refusal;
  for (const long result : {0L, 1L, long{EPERM}, -long{EFAULT}, -long{ENOENT}, -long{EAGAIN}})
    EXPECT_FALSE(IsRefused(plain, result)) << result;
}

}  // namespace
}  // namespace postern::probe
