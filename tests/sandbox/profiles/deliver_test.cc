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

UniqueFd Mailbox() { return UniqueFd(::open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC)); }

constexpr Backend kBackends[] = {Backend::kUring, Backend::kEpoll};

TEST(DeliverProfile, AllowsWhatIsListedHereAndNothingElse) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(DeliverProfile(backend, Mailbox()));
    std::set<std::string> calls = BaseCalls(backend, {"flock", "ftruncate"});
    if (backend == Backend::kEpoll)
      calls.insert({"pread64", "read", "openat2", "pwrite64", "fsync", "fdatasync", "renameat2",
                    "linkat", "unlinkat"});
    EXPECT_EQ(profile.AllowedWithAnyArguments(), calls);
    EXPECT_EQ(profile.AllowedWithSomeArguments(), BaseConditions(backend, {"fcntl"}));
  }
  const CompiledProfile profile([] {
    const Backend backend = Backend::kUring;
    return DeliverProfile(backend, Mailbox());
  }());
  EXPECT_EQ(profile.RingOperations(),
            (std::set<int>{IORING_OP_RECV, IORING_OP_SEND, IORING_OP_RECVMSG, IORING_OP_CLOSE,
                           IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD, IORING_OP_READ,
                           IORING_OP_OPENAT2, IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_RENAMEAT,
                           IORING_OP_LINKAT, IORING_OP_UNLINKAT}));
  EXPECT_EQ(profile.profile().ring_sqe_flags, IOSQE_IO_LINK);
  EXPECT_EQ(profile.profile().paths.size(), 1u);
}

TEST(DeliverProfile, MakesNoDirectoriesAndNoSockets) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(DeliverProfile(backend, Mailbox()));
    for (const char* call :
         {"openat", "mkdir", "mkdirat", "rmdir", "symlinkat", "fchmod", "fchown", "socket"})
      EXPECT_THAT(profile.Verdict(call), IsKilled()) << call;
    for (const PathGrant& grant : profile.profile().paths) {
      EXPECT_EQ(grant.rights & (1u << 0 | 1u << 4 | 1u << 6 | 1u << 7 | 1u << 12), 0u)
          << "EXECUTE, REMOVE_DIR, MAKE_CHAR, MAKE_DIR, MAKE_SYM";
    }
  }
}

TEST(DeliverProfile, LocksByRangeAndDoesNothingElseToDescriptors) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(DeliverProfile(backend, Mailbox()));
    EXPECT_THAT(profile.Verdict("fcntl", {5, F_OFD_SETLK}), IsAllowed());
    for (const uint64_t command : {F_DUPFD, F_DUPFD_CLOEXEC, F_SETFL, F_SETOWN, F_SETLKW})
      EXPECT_THAT(profile.Verdict("fcntl", {5, command}), IsKilled()) << command;
  }
}

TEST(DeliverProfile, TouchesNoFileWithoutAMailbox) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(DeliverProfile(backend, UniqueFd()));
    EXPECT_TRUE(profile.profile().paths.empty());
    for (const char* call : {"openat2", "pwrite64", "renameat2", "unlinkat"})
      EXPECT_THAT(profile.Verdict(call), IsKilled()) << call;
    for (const uint8_t operation : {IORING_OP_OPENAT2, IORING_OP_WRITE, IORING_OP_UNLINKAT})
      EXPECT_FALSE(profile.AllowsRingOperation(operation)) << int{operation};
  }
}

}  // namespace
}  // namespace postern::sandbox
