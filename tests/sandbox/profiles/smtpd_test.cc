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

TEST(SmtpdProfile, AllowsWhatIsListedHereAndNothingElse) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(SmtpdProfile(backend));
    std::set<std::string> calls = BaseCalls(backend, {});
    if (backend == Backend::kEpoll) calls.insert({"accept4"});
    EXPECT_EQ(profile.AllowedWithAnyArguments(), calls);
    EXPECT_EQ(profile.AllowedWithSomeArguments(), BaseConditions(backend, {"getsockopt"}));
  }
  const CompiledProfile profile([] {
    const Backend backend = Backend::kUring;
    return SmtpdProfile(backend);
  }());
  EXPECT_EQ(profile.RingOperations(),
            (std::set<int>{IORING_OP_RECV, IORING_OP_SEND, IORING_OP_RECVMSG, IORING_OP_CLOSE,
                           IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD, IORING_OP_ACCEPT}));
  EXPECT_EQ(profile.profile().ring_sqe_flags, IOSQE_BUFFER_SELECT);
  EXPECT_EQ(profile.profile().paths.size(), 0u);
}

TEST(SmtpdProfile, AsksForOneOptionAndSetsNone) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(SmtpdProfile(backend));
    EXPECT_THAT(profile.Verdict("setsockopt", {5, IPPROTO_TCP, TCP_NODELAY}), IsKilled());
    EXPECT_THAT(profile.Verdict("setsockopt", {5, SOL_SOCKET, SO_ATTACH_FILTER}), IsKilled());
    EXPECT_THAT(profile.Verdict("getsockopt", {5, SOL_SOCKET, SO_PEERCRED}), IsAllowed());
    EXPECT_THAT(profile.Verdict("getsockopt", {5, SOL_SOCKET, SO_PEERGROUPS}), IsKilled());
  }
}

TEST(SmtpdProfile, NeitherOpensNorConnects) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(SmtpdProfile(backend));
    for (const char* call :
         {"open", "openat", "openat2", "socket", "connect", "bind", "listen", "sendmsg"})
      EXPECT_THAT(profile.Verdict(call), IsKilled()) << call;
    for (const uint8_t operation : {IORING_OP_OPENAT, IORING_OP_OPENAT2, IORING_OP_SOCKET,
                                    IORING_OP_CONNECT, IORING_OP_SENDMSG, IORING_OP_SHUTDOWN})
      EXPECT_FALSE(profile.AllowsRingOperation(operation)) << int{operation};
  }
}

// The log may be one file for all: a limit on file size would end the process when it is outgrown.
TEST(SmtpdProfile, HasNoLimitOnTheSizeOfTheLog) {
  for (const Limit& limit : SmtpdProfile(Backend::kUring).limits)
    EXPECT_NE(limit.resource, RLIMIT_FSIZE);
}

}  // namespace
}  // namespace postern::sandbox
