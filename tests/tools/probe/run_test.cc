// The probe itself must be able to fail: made-up acts, each with the outcome it should have.
#include "tools/probe/run.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "sandbox/profiles/profiles.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POSTERN_SANITIZED 1
#endif
#endif

namespace postern::probe {
namespace {

Act Try(const char* name, std::function<long(const Scene&)> attempt) {
  return {.group = "test", .name = name, .attempt = std::move(attempt)};
}

class ProbeRun : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(POSTERN_SANITIZED)
    GTEST_SKIP() << "a sanitizer makes system calls of its own, which the filter refuses";
#endif
    if (LandlockAbi() == 0) GTEST_SKIP() << "this kernel has no Landlock";
    auto stage = Stage::Make("/tmp", {});
    ASSERT_TRUE(stage.ok()) << stage.status().ToString();
    stage_ = *std::move(stage);
  }
  std::vector<Result> Run(const std::vector<Act>& acts, How how = {}) {
    how.landlock_abi = LandlockAbi();
    const Role role = MakeRole("policyd", sandbox::Backend::kEpoll, *stage_);
    const auto results = TryActs(role, how, *stage_, acts);
    EXPECT_TRUE(results.ok()) << results.status().ToString();
    return results.ok() ? *results : std::vector<Result>(acts.size());
  }
  std::unique_ptr<Stage> stage_;
};

TEST_F(ProbeRun, TellsSuccessFromRefusalAndDeath) {
  Act allowed = Try("own", [](const Scene&) { return 0L; });
  allowed.allowed = {.roles = {"policyd"}, .reason = "a test"};
  const auto results = Run({
      Try("succeeds", [](const Scene&) { return 3L; }),
      Try("is let through", [](const Scene&) { return -long{EFAULT}; }),
      Try("is refused", [](const Scene&) { return Call(SYS_getuid); }),
      Try("dies", [](const Scene&) -> long { ::raise(SIGKILL), ::abort(); }),
      Try("ends", [](const Scene&) -> long { ::_exit(0); }),
      allowed,
      Try("is refused still", [](const Scene&) { return Call(SYS_getuid); }),
  });
  ASSERT_EQ(results.size(), 7u);
  EXPECT_EQ(results[0].outcome, Outcome::kSucceeded);
  EXPECT_EQ(results[1].outcome, Outcome::kSucceeded);
  EXPECT_EQ(results[1].error, EFAULT);
  EXPECT_EQ(results[2].outcome, Outcome::kRefused);
  EXPECT_EQ(results[2].error, ENOSYS);
  EXPECT_EQ(results[3].outcome, Outcome::kKilled);
  EXPECT_EQ(results[4].outcome, Outcome::kSucceeded) << "nobody refused";
  EXPECT_EQ(results[5].outcome, Outcome::kAllowed);
  EXPECT_EQ(results[6].outcome, Outcome::kRefused);
}

TEST_F(ProbeRun, WithTheFilterOfServiceAForbiddenCallKills) {
  const auto results = Run({Try("asks", [](const Scene&) { return Call(SYS_getuid); }),
                            Try("may", [](const Scene&) { return Call(SYS_getpid); }),
                            Try("makes", [](const Scene&) { return Call(SYS_socket, 2, 1, 0); })},
                           {.unlisted = sandbox::Unlisted::kKill});
  EXPECT_EQ(results[0].outcome, Outcome::kKilled);
  EXPECT_EQ(results[0].signal, SIGSYS);
  EXPECT_EQ(results[1].outcome, Outcome::kSucceeded);
  EXPECT_EQ(results[2].signal, SIGSYS);
}

TEST_F(ProbeRun, ALayerLeftOutIsNotThere) {
  sandbox::LayerSet without;
  without.Add(sandbox::Layer::kSeccomp);
  const auto results =
      Run({Try("asks", [](const Scene&) { return Call(SYS_getuid); })}, {.without = without});
  EXPECT_EQ(results[0].outcome, Outcome::kSucceeded);
}

TEST_F(ProbeRun, ASiblingComesToTheConfinedProcess) {
  Act act =
      Try("looks", [](const Scene& s) { return s.role > 0 ? Call(SYS_kill, s.role, 0) : -EPERM; });
  act.by = By::kSibling;
  EXPECT_EQ(Run({act})[0].outcome, Outcome::kSucceeded);
}

}  // namespace
}  // namespace postern::probe
