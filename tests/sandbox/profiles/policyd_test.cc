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

TEST(PolicydProfile, AllowsWhatIsListedHereAndNothingElse) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(PolicydProfile(backend));
    std::set<std::string> calls = BaseCalls(backend, {});
    EXPECT_EQ(profile.AllowedWithAnyArguments(), calls);
    EXPECT_EQ(profile.AllowedWithSomeArguments(), BaseConditions(backend, {}));
  }
  const CompiledProfile profile([] {
    const Backend backend = Backend::kUring;
    return PolicydProfile(backend);
  }());
  EXPECT_EQ(profile.RingOperations(),
            (std::set<int>{IORING_OP_RECV, IORING_OP_SEND, IORING_OP_RECVMSG, IORING_OP_CLOSE,
                           IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD}));
  EXPECT_EQ(profile.profile().ring_sqe_flags, 0);
  EXPECT_EQ(profile.profile().paths.size(), 0u);
}

}  // namespace
}  // namespace postern::sandbox
