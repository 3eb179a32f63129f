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

TEST(ResolvdProfile, AllowsWhatIsListedHereAndNothingElse) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(ResolvdProfile(backend, {53}));
    std::set<std::string> calls =
        BaseCalls(backend, {"bind", "connect", "sendto", "recvfrom", "sendmsg", "recvmsg",
                            "getsockname", "gettimeofday", "poll", "read", "writev"});
    EXPECT_EQ(profile.AllowedWithAnyArguments(), calls);
    EXPECT_EQ(profile.AllowedWithSomeArguments(),
              BaseConditions(backend,
                             {"socket", "setsockopt", "getsockopt", "fcntl", "sendto", "sendmsg"}));
  }
  const CompiledProfile profile([] {
    const Backend backend = Backend::kUring;
    return ResolvdProfile(backend, {53});
  }());
  EXPECT_EQ(profile.RingOperations(),
            (std::set<int>{IORING_OP_RECV, IORING_OP_WRITE, IORING_OP_RECVMSG, IORING_OP_CLOSE,
                           IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD, IORING_OP_CONNECT}));
  EXPECT_EQ(profile.profile().ring_sqe_flags, 0);
  EXPECT_EQ(profile.profile().paths.size(), 0u);
}

TEST(ResolvdProfile, MakesUdpAndTcpSocketsAlone) {
  const struct {
    const char* label;
    uint64_t domain, type, protocol;
    bool allowed;
  } rows[] = {
      {"UDP", AF_INET, SOCK_DGRAM, 0, true},
      {"UDP by its number", AF_INET6, SOCK_DGRAM, IPPROTO_UDP, true},
      {"UDP with flags", AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, true},
      {"TCP", AF_INET6, SOCK_STREAM, 0, true},
      {"TCP by its number", AF_INET, SOCK_STREAM, IPPROTO_TCP, true},
      {"MPTCP, which Landlock does not see", AF_INET, SOCK_STREAM, IPPROTO_MPTCP, false},
      {"ping", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, false},
      {"ping over IPv6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, false},
      {"UDP-Lite", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, false},
      {"TCP's number on a datagram socket", AF_INET, SOCK_DGRAM, IPPROTO_TCP, false},
      {"raw", AF_INET, SOCK_RAW, 0, false},
      {"Unix", AF_UNIX, SOCK_DGRAM, 0, false},
      {"netlink", AF_NETLINK, SOCK_DGRAM, 0, false},
      {"kernel crypto", AF_ALG, SOCK_STREAM, 0, false},
  };
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(ResolvdProfile(backend, {53}));
    for (const auto& row : rows) {
      EXPECT_EQ(
          profile.Verdict("socket", {row.domain, row.type, row.protocol}) == SECCOMP_RET_ALLOW,
          row.allowed)
          << row.label;
    }
  }
}

TEST(ResolvdProfile, SetsOptionsOfNameServersSocketsAlone) {
  const struct {
    const char* label;
    uint64_t level, name;
    bool allowed;
  } rows[] = {
      {"reuse", SOL_SOCKET, SO_REUSEADDR, true},
      {"no fragments", IPPROTO_IP, IP_MTU_DISCOVER, true},
      {"IPv6 alone", IPPROTO_IPV6, IPV6_V6ONLY, true},
      {"segment", IPPROTO_TCP, TCP_MAXSEG, true},
      {"a filter", SOL_SOCKET, SO_ATTACH_FILTER, false},
      {"a program", SOL_SOCKET, SO_ATTACH_BPF, false},
      {"another device", SOL_SOCKET, SO_BINDTODEVICE, false},
      {"a fast open", IPPROTO_TCP, TCP_FASTOPEN_CONNECT, false},
      {"a kernel's TLS", IPPROTO_TCP, TCP_ULP, false},
      {"source routes", IPPROTO_IP, IP_OPTIONS, false},
      {"membership", IPPROTO_IP, IP_ADD_MEMBERSHIP, false},
  };
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(ResolvdProfile(backend, {53}));
    for (const auto& row : rows) {
      EXPECT_EQ(profile.Verdict("setsockopt", {5, row.level, row.name}) == SECCOMP_RET_ALLOW,
                row.allowed)
          << row.label;
    }
    EXPECT_THAT(profile.Verdict("getsockopt", {5, SOL_SOCKET, SO_ERROR}), IsAllowed());
    EXPECT_THAT(profile.Verdict("getsockopt", {5, SOL_SOCKET, SO_PEERCRED}), IsKilled());
    EXPECT_THAT(profile.Verdict("fcntl", {5, F_SETFL}), IsAllowed());
    for (const uint64_t command : {F_DUPFD, F_DUPFD_CLOEXEC, F_SETOWN, F_SETLK})
      EXPECT_THAT(profile.Verdict("fcntl", {5, command}), IsKilled()) << command;
  }
}

// Landlock does not see a connection that is opened with its first data.
TEST(ResolvdProfile, SendsNoFirstData) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(ResolvdProfile(backend, {53}));
    EXPECT_THAT(profile.Verdict("sendto", {5, 1, 1, MSG_NOSIGNAL, 1, 16}), IsAllowed());
    EXPECT_THAT(profile.Verdict("sendto", {5, 1, 1, MSG_FASTOPEN | MSG_NOSIGNAL, 1, 16}),
                IsKilled());
    EXPECT_THAT(profile.Verdict("sendmsg", {5, 1, MSG_NOSIGNAL}), IsAllowed());
    // The resolver library tries this first over TCP, and connects when it is not to be had.
    EXPECT_THAT(profile.Verdict("sendmsg", {5, 1, MSG_FASTOPEN}), IsRefusedWith(EOPNOTSUPP));
    EXPECT_FALSE(profile.AllowsRingOperation(IORING_OP_SEND));
  }
}

TEST(ResolvdProfile, OpensNothing) {
  for (const Backend backend : kBackends) {
    const CompiledProfile profile(ResolvdProfile(backend, {53}));
    for (const char* call :
         {"open", "openat", "openat2", "newfstatat", "ioctl", "listen", "accept4"})
      EXPECT_THAT(profile.Verdict(call), IsKilled()) << call;
  }
}

}  // namespace
}  // namespace postern::sandbox
