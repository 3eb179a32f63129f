// resolvd parses DNS packets. It has UDP and TCP sockets to name servers, made as it goes (a fresh
// port a question), and nothing else.
#include <liburing.h>
#include <sys/socket.h>

#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile ResolvdProfile(Backend backend) {
  ProfileBuilder builder("resolvd", backend);
  for (const int domain : {AF_INET, AF_INET6}) {
    for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
      builder.Allow("socket",
                    {Argument::Equals(0, static_cast<uint64_t>(domain)),
                     Argument::Masked(1, 0xF, static_cast<uint64_t>(type))},
                    "questions to name servers");
    }
  }
  return builder
      .AllowAll({"bind", "connect", "sendto", "recvfrom", "sendmsg", "recvmsg", "setsockopt",
                 "getsockopt", "getsockname", "poll"},
                "questions and answers; the resolver library makes these calls itself")
      .AllowAll({"fcntl", "ioctl"}, "non-blocking sockets; the library asks by either")
      .AllowAll({"read", "writev"}, "questions and answers over TCP")
      .AllowRing({IORING_OP_CONNECT}, "questions over TCP, in mode system")
      .AllowAnyConnectPort()
      .KillTheRest();
}

}  // namespace postern::sandbox
