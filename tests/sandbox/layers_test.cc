#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <string>

#include "sandbox/constants.h"
#include "sandbox/profiles/profiles.h"
#include "tests/sandbox/compiled_profile.h"
#include "tests/sandbox/confined_child.h"

namespace postern::sandbox {
namespace {

TEST(Layers, AreThoseTheKernelSpeaksOf) {
  const Profile profile = PolicydProfile(Backend::kEpoll);
  const bool mdwe = ::prctl(kGetMdwe, 0, 0, 0, 0) >= 0;
  const int status = InChild([&] {
    const std::string before = DescribeLayers(profile, {}, 7);
    if (before.find("undumpable") != before.npos || before.find("mdwe") != before.npos) return 1;
    if (!HardenProcess().ok() || RefuseExecGain().ok() != mdwe) return 2;
    const std::string after = DescribeLayers(profile, {}, 7);
    const std::string wanted = std::string("no_new_privs undumpable ") + (mdwe ? "mdwe " : "") +
                               "landlock:7 rlimits:5 seccomp:24";
    if (after != wanted) return std::fprintf(stderr, "%s\n", after.c_str()), 3;
    return 7;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST(Layers, CountCallsAndOperationsOnce) {
  const std::string layers = DescribeLayers(QmgrProfile(Backend::kUring, UniqueFd()),
                                            {.drop = true, .uid = 64200, .gid = 64200}, 2);
  EXPECT_TRUE(layers.starts_with("ids ")) << layers;
  EXPECT_NE(layers.find("landlock:2 ring:15 "), layers.npos) << layers;
}

}  // namespace
}  // namespace postern::sandbox
