// resolvd parses DNS packets. It has UDP and TCP sockets to name servers, made as it goes (a fresh
// port a question), and nothing else.
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

namespace {

// The type as it is asked for, with whatever flags. A protocol of 0 or the type's usual one: no
// MPTCP, which Landlock does not see, no ping sockets, no UDP-Lite.
void AllowSockets(ProfileBuilder& builder, int domain, int type, int protocol) {
  for (const int asked : {0, protocol}) {
    builder.Allow("socket",
                  {Argument::Equals(0, static_cast<uint64_t>(domain)),
                   Argument::Masked(1, 0xF, static_cast<uint64_t>(type)),
                   Argument::Equals(2, static_cast<uint64_t>(asked))},
                  "questions to name servers");
  }
}

// What the resolver library sets on sockets it made, as its messages name it.
void AllowOptions(ProfileBuilder& builder) {
  const char* const why = "the resolver library's sockets";
  builder
      .AllowSocketOptions(
          "setsockopt", SOL_SOCKET,
          {SO_REUSEADDR, SO_REUSEPORT, SO_RCVBUF, SO_SNDBUF, SO_RCVBUFFORCE, SO_SNDBUFFORCE}, why)
      .AllowSocketOptions("setsockopt", IPPROTO_IP,
                          {IP_MTU_DISCOVER, IP_FREEBIND, IP_BIND_ADDRESS_NO_PORT}, why)
      .AllowSocketOptions("setsockopt", IPPROTO_IPV6, {IPV6_V6ONLY, IPV6_MTU, IPV6_MTU_DISCOVER},
                          why)
      .AllowSocketOptions("setsockopt", IPPROTO_TCP, {TCP_NODELAY, TCP_MAXSEG}, why)
      .AllowSocketOptions("getsockopt", SOL_SOCKET, {SO_ERROR, SO_RCVBUF, SO_SNDBUF}, why);
}

}  // namespace

Profile ResolvdProfile(Backend backend, const std::vector<uint16_t>& ports) {
  ProfileBuilder builder("resolvd", backend);
  for (const int domain : {AF_INET, AF_INET6}) {
    AllowSockets(builder, domain, SOCK_DGRAM, IPPROTO_UDP);
    AllowSockets(builder, domain, SOCK_STREAM, IPPROTO_TCP);
  }
  AllowOptions(builder);
  for (const int command : {F_GETFL, F_SETFL, F_SETFD}) {
    builder.Allow("fcntl", {Argument::Equals(1, static_cast<uint64_t>(command))},
                  "sockets that do not block");
  }
  return builder
      .AllowAll({"bind", "connect", "recvfrom", "recvmsg", "getsockname", "poll"},
                "questions and answers; the resolver library makes these calls itself")
      // Not a connection's first data, which Landlock would not see.
      .Allow("sendto", {Argument::Masked(3, MSG_FASTOPEN, 0)}, "questions")
      .Allow("sendmsg", {Argument::Masked(2, MSG_FASTOPEN, 0)}, "questions")
      .Refuse("sendmsg", {Argument::Masked(2, MSG_FASTOPEN, MSG_FASTOPEN)}, EOPNOTSUPP,
              "the resolver library then connects, which Landlock sees")
      .Allow("gettimeofday", {}, "the resolver library's clock (where the vDSO cannot)")
      .AllowAll({"read", "writev"}, "questions and answers over TCP")
      .AllowRing({IORING_OP_CONNECT}, "questions over TCP, in mode system")
      .AllowConnectPorts(ports)  // of TCP; Landlock knows no UDP
      .KeepNetwork("name servers")
      .SendByWriting()
      .Limit(RLIMIT_AS, kLargeAddressOctets)
      .AllowNoThreadsOfTheKernel()
      .KillTheRest();
}

}  // namespace postern::sandbox
