#include "sandbox/profiles/profiles.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "tests/sandbox/compiled_profile.h"

namespace postern::sandbox {
namespace {

constexpr Backend kBackends[] = {Backend::kUring, Backend::kEpoll};

TEST(LocaldProfile, AllowsWhatIsListedHereAndNothingElse) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(LocaldProfile(backend));
    std::set<std::string> calls = BaseCalls(backend, {});
    if (backend == Backend::kEpoll) calls.insert({"sendmsg"});
    EXPECT_EQ(profile.AllowedWithAnyArguments(), calls);
    EXPECT_EQ(profile.AllowedWithSomeArguments(), BaseConditions(backend, {"fcntl"}));
  }
  const CompiledProfile profile([] {
    const Backend backend = Backend::kUring;
    return LocaldProfile(backend);
  }());
  EXPECT_EQ(profile.RingOperations(),
            (std::set<int>{IORING_OP_RECV, IORING_OP_SEND, IORING_OP_RECVMSG, IORING_OP_CLOSE,
                           IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD, IORING_OP_SENDMSG}));
  EXPECT_EQ(profile.profile().ring_sqe_flags, 0);
  EXPECT_EQ(profile.profile().paths.size(), 0u);
}

TEST(LocaldProfile, CopiesDescriptorsAndDoesNothingElseToThem) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(LocaldProfile(backend));
    EXPECT_THAT(profile.Verdict("fcntl", {5, F_DUPFD_CLOEXEC}), IsAllowed());
    for (const uint64_t command : {F_DUPFD, F_SETFL, F_SETOWN, F_SETLK, F_SETFD})
      EXPECT_THAT(profile.Verdict("fcntl", {5, command}), IsKilled()) << command;
  }
}

}  // namespace
}  // namespace postern::sandbox
