#include "tools/probe/roles.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "common/ipc/protocol/control.h"

namespace postern::probe {
namespace {

// A daemon that comes to be must come to be probed.
TEST(ProbeRoles, AreAllOfMasters) {
  std::set<std::string> wanted;
  for (uint64_t role = 1; role <= protocol::control::kLastRole; ++role)
    wanted.insert(protocol::control::RoleName(static_cast<protocol::control::Role>(role)));
  EXPECT_EQ(std::set<std::string>(RoleNames().begin(), RoleNames().end()), wanted);
}

TEST(ProbeRoles, HaveTheProfileOfTheirName) {
  const auto stage = Stage::Make("/tmp", {});
  ASSERT_TRUE(stage.ok()) << stage.status().ToString();
  for (const std::string& name : RoleNames()) {
    const Role role = MakeRole(name, sandbox::Backend::kEpoll, **stage);
    EXPECT_EQ(role.profile.name, name);
    EXPECT_EQ(role.profile.backend, sandbox::Backend::kEpoll);
    EXPECT_EQ(role.profile.paths.size(), name == "qmgr" || name == "deliver" ? 1u : 0u) << name;
  }
}

}  // namespace
}  // namespace postern::probe
