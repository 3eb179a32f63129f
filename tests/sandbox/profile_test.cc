#include "sandbox/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/sandbox/compiled_profile.h"

namespace postern::sandbox {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(ProfileBuilder, StartsWithTheBaseAndNoMore) {
  for (const Backend backend : {Backend::kUring, Backend::kEpoll}) {
    const CompiledProfile profile(ProfileBuilder("test", backend).KillTheRest());
    EXPECT_EQ(profile.AllowedWithAnyArguments(), BaseCalls(backend, {}));
    EXPECT_EQ(profile.AllowedWithSomeArguments(), BaseConditions(backend, {}));
    EXPECT_TRUE(profile.profile().paths.empty());
    EXPECT_TRUE(profile.profile().connect_ports.empty());
  }
}

TEST(ProfileBuilder, GrantsOperationsOrCallsButNotBoth) {
  const CompiledProfile uring(
      ProfileBuilder("test", Backend::kUring).AllowServingSockets().KillTheRest());
  EXPECT_TRUE(uring.AllowsRingOperation(IORING_OP_ACCEPT));
  EXPECT_THAT(uring.Verdict("accept4"), IsKilled());
  EXPECT_THAT(uring.Verdict("recvfrom"), IsKilled());
  const CompiledProfile epoll(
      ProfileBuilder("test", Backend::kEpoll).AllowServingSockets().KillTheRest());
  EXPECT_TRUE(epoll.RingOperations().empty());
  EXPECT_THAT(epoll.Verdict("accept4"), IsAllowed());
}

TEST(ProfileBuilder, KeepsTheReasonOfAGrant) {
  const Profile profile = ProfileBuilder("test", Backend::kUring)
                              .AllowAll({"getsockname"}, "where a client came to")
                              .AllowRing({IORING_OP_ACCEPT}, "clients")
                              .KillTheRest();
  EXPECT_THAT(profile.reasons, Contains("getsockname: where a client came to"));
  EXPECT_THAT(profile.reasons, Contains("ring: clients"));
}

TEST(ProfileBuilder, AllowsSocketOptionsByLevelAndName) {
  const CompiledProfile profile(
      ProfileBuilder("test", Backend::kEpoll)
          .AllowSocketOptions("setsockopt", SOL_SOCKET, {SO_RCVBUF, SO_SNDBUF}, "a test")
          .KillTheRest());
  EXPECT_THAT(profile.Verdict("setsockopt", {3, SOL_SOCKET, SO_RCVBUF}), IsAllowed());
  EXPECT_THAT(profile.Verdict("setsockopt", {3, SOL_SOCKET, SO_SNDBUF}), IsAllowed());
  EXPECT_THAT(profile.Verdict("setsockopt", {3, SOL_SOCKET, SO_DEBUG}), IsKilled());
  EXPECT_THAT(profile.Verdict("setsockopt", {3, IPPROTO_IP, SO_RCVBUF}), IsKilled());
  EXPECT_THAT(profile.Verdict("getsockopt", {3, SOL_SOCKET, SO_RCVBUF}), IsKilled());
}

TEST(ProfileBuilderDeathTest, ANameThatIsNoSystemCallIsABug) {
  ProfileBuilder builder("test", Backend::kEpoll);
  EXPECT_DEATH(builder.AllowAll({"opneat"}, "a slip"), HasSubstr("CHECK"));
}

}  // namespace
}  // namespace postern::sandbox
