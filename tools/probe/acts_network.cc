// Sockets of every family, connections, and what goes over those a role has.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "tools/probe/acts.h"

namespace postern::probe {
namespace {

// What the linux headers of Debian 12 or the C library's do not name.
constexpr int kSmc = 43;
constexpr int kQipcrtr = 42;
constexpr int kXdp = 44;
constexpr int kMctp = 45;

constexpr int kTcpType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;  // as our clients make them

const Allowance kClients = {.roles = {"smtpc", "resolvd"},
                            .reason = "makes connections to other servers"};
const Allowance kDatagrams = {.roles = {"resolvd"}, .reason = "asks name servers over UDP"};
const Allowance kAnyTcp = {.roles = {"resolvd"},
                           .reason = "the resolver library makes its own TCP sockets"};

const Allowance kLmtp = {.roles = {"smtpc"}, .reason = "a next hop may be behind a Unix socket"};

std::vector<int> Refusals(std::initializer_list<int> more = {}) {
  std::vector<int> all = {ENETUNREACH, ECONNREFUSED, ENOENT, EOPNOTSUPP};
  all.insert(all.end(), more);
  return all;
}

long Socket(int family, int type, int protocol) { return Call(SYS_socket, family, type, protocol); }

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

sockaddr_in6 Loopback6(uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = in6addr_loopback;
  return address;
}

void AddFamilies(std::vector<Act>& acts) {
  const struct {
    const char* name;
    int family, type, protocol;
    Allowance allowed;
  } rows[] = {
      {"a TCP socket", AF_INET, kTcpType, 0, kClients},
      {"a TCP socket over IPv6", AF_INET6, kTcpType, 0, kClients},
      {"a TCP socket that blocks", AF_INET, SOCK_STREAM, 0, kAnyTcp},
      {"a UDP socket", AF_INET, SOCK_DGRAM, 0, kDatagrams},
      {"a UDP socket over IPv6", AF_INET6, SOCK_DGRAM, 0, kDatagrams},
      {"an MPTCP socket", AF_INET, kTcpType, IPPROTO_MPTCP, {}},
      {"an SCTP socket", AF_INET, kTcpType, IPPROTO_SCTP, {}},
      {"a UDP-Lite socket", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, {}},
      {"a ping socket", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, {}},
      {"a raw socket", AF_INET, SOCK_RAW, IPPROTO_ICMP, {}},
      {"a raw socket over IPv6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, {}},
      {"a Unix stream socket", AF_UNIX, kTcpType, 0, kLmtp},
      {"a Unix datagram socket", AF_UNIX, SOCK_DGRAM, 0, {}},
      {"a Unix sequential socket", AF_UNIX, SOCK_SEQPACKET, 0, {}},
      {"a routing socket", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, {}},
      {"a socket for the kernel's events", AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT, {}},
      {"a firewall's socket", AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, {}},
      {"a packet socket", AF_PACKET, SOCK_RAW, 0, {}},
      {"a socket to the hypervisor", AF_VSOCK, SOCK_STREAM, 0, {}},
      {"a socket of the kernel's ciphers", AF_ALG, SOCK_SEQPACKET, 0, {}},
      {"an XDP socket", kXdp, SOCK_RAW, 0, {}},
      {"a Bluetooth socket", AF_BLUETOOTH, SOCK_RAW, 1, {}},
      {"an IPsec key socket", AF_KEY, SOCK_RAW, 2, {}},
      {"a CAN socket", AF_CAN, SOCK_RAW, 1, {}},
      {"a TIPC socket", AF_TIPC, SOCK_RDM, 0, {}},
      {"an RDS socket", AF_RDS, SOCK_SEQPACKET, 0, {}},
      {"an SMC socket", kSmc, SOCK_STREAM, 0, {}},
      {"a Qualcomm router socket", kQipcrtr, SOCK_DGRAM, 0, {}},
      {"an MCTP socket", kMctp, SOCK_DGRAM, 0, {}},
  };
  for (const auto& row : rows) {
    acts.push_back({.group = "sockets",
                    .name = std::string("make ") + row.name,
                    .attempt = [family = row.family, type = row.type, protocol = row.protocol](
                                   const Scene&) { return Socket(family, type, protocol); },
                    .refusals = kNoFamily,
                    .allowed = row.allowed});
  }
  acts.push_back(
      {.group = "sockets", .name = "make a pair of sockets", .attempt = [](const Scene&) {
         int ends[2];
         return Call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, ends);
       }});
}

void AddConnecting(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt, Allowance allowed = {}, int abi = 0) {
    acts.push_back({.group = "connections",
                    .name = name,
                    .attempt = attempt,
                    .refusals = Refusals(kNoFamily),
                    .allowed = std::move(allowed),
                    .landlock_abi = abi});
  };
  add(
      "connect by TCP to a port of no mail",
      [](const Scene& s) {
        const long fd = Socket(AF_INET, kTcpType, 0);
        const sockaddr_in to = Loopback(s.stage.tcp_port);
        return fd < 0 ? fd : Call(SYS_connect, fd, &to, sizeof to);
      },
      {}, 4);
  add(
      "connect by TCP over IPv6 to a port of no mail",
      [](const Scene& s) {
        const long fd = Socket(AF_INET6, kTcpType, 0);
        const sockaddr_in6 to = Loopback6(s.stage.tcp6_port);
        return fd < 0 ? fd : Call(SYS_connect, fd, &to, sizeof to);
      },
      {}, 4);
  add("connect by MPTCP", [](const Scene& s) {
    const long fd = Socket(AF_INET, kTcpType, IPPROTO_MPTCP);
    const sockaddr_in to = Loopback(s.stage.tcp_port);
    return fd < 0 ? fd : Call(SYS_connect, fd, &to, sizeof to);
  });
  add("open a connection with its first data", [](const Scene& s) {
    const long fd = Socket(AF_INET, kTcpType, 0);
    const sockaddr_in to = Loopback(s.stage.tcp_port);
    return fd < 0 ? fd : Call(SYS_sendto, fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, &to, sizeof to);
  });
  add("open a connection with its first message", [](const Scene& s) {
    const long fd = Socket(AF_INET, kTcpType, 0);
    sockaddr_in to = Loopback(s.stage.tcp_port);
    char octet = 'x';
    iovec piece{&octet, 1};
    msghdr message{};
    message.msg_name = &to;
    message.msg_namelen = sizeof to;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    return fd < 0 ? fd : Call(SYS_sendmsg, fd, &message, MSG_FASTOPEN | MSG_NOSIGNAL);
  });
  add(
      "send a datagram",
      [](const Scene& s) {
        const long fd = Socket(AF_INET, SOCK_DGRAM, 0);
        const sockaddr_in to = Loopback(s.stage.udp_port);
        return fd < 0 ? fd : Call(SYS_sendto, fd, "x", 1, 0, &to, sizeof to);
      },
      kDatagrams);
  add(
      "listen for TCP on a port it chose",
      [](const Scene&) {
        const long fd = Socket(AF_INET, kTcpType, 0);
        const sockaddr_in at = Loopback(0);
        return fd < 0 ? fd : Call(SYS_bind, fd, &at, sizeof at);
      },
      {}, 4);
  add("listen for TCP on whatever port", [](const Scene&) {
    const long fd = Socket(AF_INET, kTcpType, 0);
    return fd < 0 ? fd : Call(SYS_listen, fd, 5);
  });
  add("take a port that is root's", [](const Scene&) {
    const long fd = Socket(AF_INET, SOCK_DGRAM, 0);
    const sockaddr_in at = Loopback(7);
    return fd < 0 ? fd : Call(SYS_bind, fd, &at, sizeof at);
  });
  const auto unix_address = [](std::string_view name, sockaddr_un& to) {
    to = {};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, name.data(), std::min(name.size(), sizeof to.sun_path));
    return offsetof(sockaddr_un, sun_path) + name.size();
  };
  add("connect to a Unix socket by its path", [=](const Scene& s) {
    const long fd = Socket(AF_UNIX, kTcpType, 0);
    sockaddr_un to;
    const size_t octets = unix_address(s.stage.unix_path, to);
    return fd < 0 ? fd : Call(SYS_connect, fd, &to, octets);
  });
  add("connect to a Unix socket by its abstract name", [=](const Scene& s) {
    const long fd = Socket(AF_UNIX, kTcpType, 0);
    sockaddr_un to;
    const size_t octets = unix_address(std::string(1, '\0') + s.stage.abstract_name, to);
    return fd < 0 ? fd : Call(SYS_connect, fd, &to, octets);
  });
  add("listen on an abstract name", [=](const Scene&) {
    const long fd = Socket(AF_UNIX, SOCK_STREAM, 0);
    const sa_family_t family = AF_UNIX;  // the kernel chooses the name
    return fd < 0 ? fd : Call(SYS_bind, fd, &family, sizeof family);
  });
}

void AddOwnSockets(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt, std::vector<int> refusals = {},
                       Allowance allowed = {}) {
    acts.push_back({.group = "own sockets",
                    .name = name,
                    .attempt = attempt,
                    .refusals = std::move(refusals),
                    .allowed = std::move(allowed)});
  };
  add("connect a connection elsewhere",
      [](const Scene& s) {
        const sockaddr nowhere{.sa_family = AF_UNSPEC, .sa_data = {}};
        return Call(SYS_connect, s.stage.tcp.get(), &nowhere, sizeof nowhere);
      },
      {},
      {.roles = {"smtpc", "resolvd"},
       .reason = "undoes a connection; makes none to a port that is closed"});
  add("send the first data of a connection that is one",
      [](const Scene& s) {
        const sockaddr_in to = Loopback(s.stage.tcp_port);
        return Call(SYS_sendto, s.stage.tcp.get(), "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, &to,
                    sizeof to);
      },
      {EISCONN});
  add("take a filter off a socket", [](const Scene& s) {
    return Call(SYS_setsockopt, s.stage.tcp.get(), SOL_SOCKET, SO_DETACH_FILTER, nullptr, 0);
  });
  add("bind a socket to a device", [](const Scene& s) {
    return Call(SYS_setsockopt, s.stage.tcp.get(), SOL_SOCKET, SO_BINDTODEVICE, "", 0);
  });
  add("mark a socket's packets", [](const Scene& s) {
    const int mark = 7;
    return Call(SYS_setsockopt, s.stage.tcp.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark);
  });
  add("put a protocol of the kernel on a socket", [](const Scene& s) {
    return Call(SYS_setsockopt, s.stage.tcp.get(), IPPROTO_TCP, TCP_ULP, "none", 4);
  });
  add("take over a connection's state", [](const Scene& s) {
    const int on = 1;
    return Call(SYS_setsockopt, s.stage.tcp.get(), IPPROTO_TCP, 19 /* TCP_REPAIR */, &on,
                sizeof on);
  });
  add("enlarge a socket's buffer",
      [](const Scene& s) {
        const int octets = 1 << 24;
        return Call(SYS_setsockopt, s.stage.tcp.get(), SOL_SOCKET, SO_RCVBUF, &octets,
                    sizeof octets);
      },
      {}, {.roles = {"resolvd"}, .reason = "the resolver library sets it"});
  add("ask which groups a peer has", [](const Scene& s) {
    gid_t groups[16];
    socklen_t octets = sizeof groups;
    return Call(SYS_getsockopt, s.stage.edge.get(), SOL_SOCKET, SO_PEERGROUPS, groups, &octets);
  });
  add("end half of a connection",
      [](const Scene& s) { return Call(SYS_shutdown, s.stage.tcp.get(), SHUT_RD); });
  add("accept by the old call", [](const Scene& s) {
    // Nobody connects: EAGAIN or EINVAL would say that it may.
    return Call(SYS_accept, s.stage.tcp.get(), nullptr, nullptr);
  });
  add("accept a connection",
      [](const Scene& s) { return Call(SYS_accept4, s.stage.tcp.get(), nullptr, nullptr, 0); }, {},
      {.roles = {"smtpd", "qmgr"}, .reason = "serves those who connect"});
  add("receive many messages at once", [](const Scene& s) {
    return Call(SYS_recvmmsg, s.stage.edge.get(), nullptr, 0, MSG_DONTWAIT, nullptr);
  });
  add("send many messages at once", [](const Scene& s) {
    return Call(SYS_sendmmsg, s.stage.edge.get(), nullptr, 0, MSG_DONTWAIT);
  });
  add("send a descriptor to a neighbour",
      [](const Scene& s) {
        char octet = 'x';
        iovec piece{&octet, 1};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        const int fd = s.stage.program_fd.get();
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
        return Call(SYS_sendmsg, s.stage.edge.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      },
      {},
      {.roles = {"qmgr", "locald", "resolvd"},
       .reason = "qmgr, locald: large contents; resolvd: its library needs sendmsg, whose "
                 "message the filter does not see"});
  add("claim to be root to a neighbour",
      [](const Scene& s) {
        char octet = 'x';
        iovec piece{&octet, 1};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))] = {};
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_CREDENTIALS;
        header->cmsg_len = CMSG_LEN(sizeof(ucred));
        const ucred root{.pid = 1, .uid = 0, .gid = 0};
        std::memcpy(CMSG_DATA(header), &root, sizeof root);
        return Call(SYS_sendmsg, s.stage.edge.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      },
      {EINVAL});  // a user namespace in which there is no root
}

}  // namespace

void AddNetworkActs(std::vector<Act>& acts) {
  AddFamilies(acts);
  AddConnecting(acts);
  AddOwnSockets(acts);
}

}  // namespace postern::probe
