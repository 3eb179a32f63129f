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

TEST(SmtpcProfile, AllowsWhatIsListedHereAndNothingElse) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(SmtpcProfile(backend, {25}, false));
    std::set<std::string> calls = BaseCalls(backend, {});
    if (backend == Backend::kEpoll) calls.insert({"connect", "pread64", "read"});
    EXPECT_EQ(profile.AllowedWithAnyArguments(), calls);
    EXPECT_EQ(profile.AllowedWithSomeArguments(), BaseConditions(backend, {"socket"}));
  }
  const CompiledProfile profile([] {
    const Backend backend = Backend::kUring;
    return SmtpcProfile(backend, {25}, false);
  }());
  EXPECT_EQ(profile.RingOperations(),
            (std::set<int>{IORING_OP_RECV, IORING_OP_WRITE, IORING_OP_RECVMSG, IORING_OP_CLOSE,
                           IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD, IORING_OP_CONNECT,
                           IORING_OP_READ}));
  EXPECT_EQ(profile.profile().ring_sqe_flags, IOSQE_BUFFER_SELECT);
  EXPECT_EQ(profile.profile().paths.size(), 0u);
  EXPECT_EQ(profile.profile().connect_ports, std::vector<uint16_t>{25});
}

TEST(SmtpcProfile, MakesPlainStreamSocketsAlone) {
  constexpr uint64_t kType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const struct {
    const char* label;
    uint64_t domain, type, protocol;
    bool allowed, allowed_with_unix;
  } rows[] = {
      {"IPv4", AF_INET, kType, 0, true, true},
      {"IPv6", AF_INET6, kType, 0, true, true},
      {"Unix", AF_UNIX, kType, 0, false, true},
      {"Unix datagrams", AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, false, false},
      {"MPTCP", AF_INET, kType, IPPROTO_MPTCP, false, false},
      {"SCTP", AF_INET, kType, IPPROTO_SCTP, false, false},
      {"TCP by its number", AF_INET, kType, IPPROTO_TCP, false, false},
      {"a blocking socket", AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, false, false},
      {"one that programs inherit", AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0, false, false},
      {"UDP", AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, false, false},
      {"raw", AF_INET, SOCK_RAW, 0, false, false},
      {"netlink", AF_NETLINK, SOCK_RAW, 0, false, false},
      {"packet", AF_PACKET, SOCK_RAW, 0, false, false},
      {"vsock", AF_VSOCK, kType, 0, false, false},
      {"a family with a high word", 1ull << 32 | AF_INET, kType, 0, false, false},
  };
  for (const Backend backend : kBackends) {
    const CompiledProfile without(SmtpcProfile(backend, {25}, false));
    const CompiledProfile with(SmtpcProfile(backend, {25}, true));
    for (const auto& row : rows) {
      EXPECT_EQ(
          without.Verdict("socket", {row.domain, row.type, row.protocol}) == SECCOMP_RET_ALLOW,
          row.allowed)
          << row.label;
      EXPECT_EQ(with.Verdict("socket", {row.domain, row.type, row.protocol}) == SECCOMP_RET_ALLOW,
                row.allowed_with_unix)
          << row.label;
    }
  }
}

TEST(SmtpcProfile, NeitherBindsNorListensNorOpens) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(SmtpcProfile(backend, {25}, true));
    for (const char* call :
         {"bind", "listen", "accept4", "open", "openat", "openat2", "sendmsg", "pwrite64"})
      EXPECT_THAT(profile.Verdict(call), IsKilled()) << call;
    for (const uint8_t operation : {IORING_OP_SOCKET, IORING_OP_SENDMSG, IORING_OP_ACCEPT,
                                    IORING_OP_OPENAT2, IORING_OP_SEND, IORING_OP_SEND_ZC})
      EXPECT_FALSE(profile.AllowsRingOperation(operation)) << int{operation};
  }
}

}  // namespace
}  // namespace postern::sandbox
