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

TEST(QmgrProfile, AllowsWhatIsListedHereAndNothingElse) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(QmgrProfile(backend, UniqueFd()));
    std::set<std::string> calls =
        BaseCalls(backend, {"openat", "fallocate", "fstatfs", "getdents64"});
    if (backend == Backend::kEpoll)
      calls.insert({"pread64", "read", "openat2", "pwrite64", "fsync", "fdatasync", "renameat2",
                    "linkat", "unlinkat", "accept4", "sendmsg"});
    EXPECT_EQ(profile.AllowedWithAnyArguments(), calls);
    EXPECT_EQ(profile.AllowedWithSomeArguments(), BaseConditions(backend, {"getsockopt"}));
  }
  const CompiledProfile profile([] {
    const Backend backend = Backend::kUring;
    return QmgrProfile(backend, UniqueFd());
  }());
  EXPECT_EQ(
      profile.RingOperations(),
      (std::set<int>{IORING_OP_RECV, IORING_OP_SEND, IORING_OP_RECVMSG, IORING_OP_CLOSE,
                     IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD, IORING_OP_READ, IORING_OP_OPENAT2,
                     IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_RENAMEAT, IORING_OP_LINKAT,
                     IORING_OP_UNLINKAT, IORING_OP_ACCEPT, IORING_OP_SENDMSG}));
  EXPECT_EQ(profile.profile().ring_sqe_flags, IOSQE_IO_LINK | IOSQE_BUFFER_SELECT);
  EXPECT_EQ(profile.profile().paths.size(), 1u);
}

TEST(QmgrProfile, LooksAtNoPath) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(QmgrProfile(backend, UniqueFd()));
    EXPECT_THAT(profile.Verdict("newfstatat", {5, 0, 0, AT_EMPTY_PATH}), IsKilled());
    EXPECT_THAT(profile.Verdict("statx"), IsKilled());
    EXPECT_THAT(profile.Verdict("fcntl", {5, F_GETFL}), IsKilled());
  }
}

TEST(QmgrProfile, HasNoNetwork) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(QmgrProfile(backend, UniqueFd()));
    for (const char* call : {"socket", "connect", "bind", "listen"})
      EXPECT_THAT(profile.Verdict(call), IsKilled()) << call;
    EXPECT_FALSE(profile.AllowsRingOperation(IORING_OP_CONNECT));
    EXPECT_FALSE(profile.AllowsRingOperation(IORING_OP_SOCKET));
    EXPECT_TRUE(profile.profile().connect_ports.empty());
  }
}

}  // namespace
}  // namespace postern::sandbox
