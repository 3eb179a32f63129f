#include "sandbox/profile.h"

#include <fcntl.h>
#include <liburing.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/base/check.h"

namespace postern::sandbox {
namespace {

constexpr uint64_t kEnterRegisteredRing = 1u << 4;  // IORING_ENTER_REGISTERED_RING, Linux 5.18

}  // namespace

ProfileBuilder::ProfileBuilder(std::string_view name, Backend backend) {
  profile_.name = name;
  profile_.backend = backend;
  // glibc's malloc: small things by brk, large ones by mmap; never executable.
  Allow("mmap",
        {Argument::Masked(2, ~uint64_t{PROT_READ | PROT_WRITE}, 0),
         Argument::Equals(3, MAP_PRIVATE | MAP_ANONYMOUS)},
        "heap, never executable");
  Allow("mmap",
        {Argument::Masked(2, ~uint64_t{PROT_READ | PROT_WRITE}, 0),
         Argument::Equals(3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)},
        "heap of a second arena");
  Allow("mprotect", {Argument::Masked(2, ~uint64_t{PROT_READ | PROT_WRITE}, 0)},
        "heap, never executable");
  AllowAll({"brk", "munmap", "mremap", "madvise"}, "heap");
  AllowAll({"clock_gettime", "getrandom"}, "time (where the vDSO cannot), hash seeds");
  AllowAll({"write", "close"}, "the log, descriptors received");
  AllowAll({"futex", "restart_syscall"}, "the C library; waiting on, once stopped and continued");
  AllowAll({"exit_group", "rt_sigprocmask", "getpid", "gettid"}, "ending, also by abort()");
  // Siblings may have the same uid (started without root), and Landlock closes signals from Linux
  // 6.12 on only.
  Allow("tgkill", {Argument::OwnProcess(0), Argument::Equals(2, SIGABRT)}, "abort()");
  Allow("fstat", {}, "the kind of a descriptor received");  // see common/base/fstat.h
  if (backend == Backend::kUring) {
    Allow("io_uring_enter",
          {Argument::RegisteredRing(0),
           Argument::Masked(3, kEnterRegisteredRing, kEnterRegisteredRing)},
          "the one ring, by its index");
    AllowRing({IORING_OP_RECV, IORING_OP_SEND, IORING_OP_RECVMSG, IORING_OP_CLOSE,
               IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD},
              "edges: frames, and fresh ends from master");
  } else {
    AllowAll({"epoll_pwait", "epoll_ctl", "poll"}, "the loop");
    AllowAll({"recvfrom", "recvmsg"}, "edges: frames, and fresh ends from master");
    // To nobody but the peer: with an address it could open connections (MSG_FASTOPEN) that
    // Landlock does not see.
    Allow("sendto", {Argument::Equals(4, 0)}, "edges: frames");
  }
  Limit(RLIMIT_CORE, 0);
  Limit(RLIMIT_MEMLOCK, 0);  // the ring has its memory by then
  Limit(RLIMIT_AS, kAddressOctets);
}

ProfileBuilder& ProfileBuilder::Allow(std::string_view syscall,
                                      std::initializer_list<Argument> arguments,
                                      std::string_view why) {
  const std::string name(syscall);
  const int number = seccomp_syscall_resolve_name(name.c_str());
  // A name libseccomp does not know is a mistake of ours, never a rule to leave out.
  CHECK(number != __NR_SCMP_ERROR);
  profile_.syscalls.push_back(
      {.number = number, .name = name, .arguments = arguments, .refuse_with = {}});
  profile_.reasons.push_back(name + ": " + std::string(why));
  return *this;
}

ProfileBuilder& ProfileBuilder::AllowAll(std::initializer_list<std::string_view> syscalls,
                                         std::string_view why) {
  for (const std::string_view syscall : syscalls) Allow(syscall, {}, why);
  return *this;
}

ProfileBuilder& ProfileBuilder::AllowSocketOptions(std::string_view syscall, int level,
                                                   std::initializer_list<int> names,
                                                   std::string_view why) {
  for (const int name : names) {
    Allow(syscall,
          {Argument::Equals(1, static_cast<uint64_t>(level)),
           Argument::Equals(2, static_cast<uint64_t>(name))},
          why);
  }
  return *this;
}

ProfileBuilder& ProfileBuilder::Refuse(std::string_view syscall, int error, std::string_view why) {
  return Refuse(syscall, {}, error, why);
}

ProfileBuilder& ProfileBuilder::Refuse(std::string_view syscall,
                                       std::initializer_list<Argument> arguments, int error,
                                       std::string_view why) {
  Allow(syscall, arguments, why);
  profile_.syscalls.back().refuse_with = error;
  return *this;
}

ProfileBuilder& ProfileBuilder::AllowRing(std::initializer_list<uint8_t> operations,
                                          std::string_view why) {
  if (profile_.backend != Backend::kUring) return *this;
  profile_.ring_operations.insert(profile_.ring_operations.end(), operations);
  profile_.reasons.push_back("ring: " + std::string(why));
  return *this;
}

ProfileBuilder& ProfileBuilder::AllowServingSockets() {
  if (profile_.backend == Backend::kUring) {
    AllowRing({IORING_OP_ACCEPT}, "connections");
    profile_.ring_sqe_flags |= IOSQE_BUFFER_SELECT;
  } else {
    Allow("accept4", {}, "connections");
  }
  AllowSocketOptions("getsockopt", SOL_SOCKET, {SO_PEERCRED}, "which local user submits");
  return *this;
}

ProfileBuilder& ProfileBuilder::SendByWriting() {
  if (profile_.backend != Backend::kUring) return *this;
  std::erase(profile_.ring_operations, IORING_OP_SEND);
  profile_.sends_by_writing = true;
  return AllowRing({IORING_OP_WRITE}, "sending, to the peer alone");
}

ProfileBuilder& ProfileBuilder::AllowClientSockets(bool unix_sockets) {
  SendByWriting();
  for (const int domain : {AF_INET, AF_INET6}) {
    // Protocol 0: no MPTCP, which Landlock does not see.
    Allow("socket",
          {Argument::Equals(0, static_cast<uint64_t>(domain)),
           Argument::Equals(1, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC), Argument::Equals(2, 0)},
          "connections to other servers");
  }
  if (unix_sockets) {
    Allow("socket",
          {Argument::Equals(0, AF_UNIX),
           Argument::Equals(1, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC), Argument::Equals(2, 0)},
          "LMTP servers behind a Unix socket");
  }
  if (profile_.backend == Backend::kUring) {
    AllowRing({IORING_OP_CONNECT}, "connections to other servers");
    profile_.ring_sqe_flags |= IOSQE_BUFFER_SELECT;
  } else {
    Allow("connect", {}, "connections to other servers");
  }
  return *this;
}

ProfileBuilder& ProfileBuilder::AllowSendingDescriptors() {
  if (profile_.backend == Backend::kUring)
    return AllowRing({IORING_OP_SENDMSG}, "descriptors to the next process");
  return Allow("sendmsg", {}, "descriptors to the next process");
}

ProfileBuilder& ProfileBuilder::AllowFileReading(std::string_view why) {
  if (profile_.backend == Backend::kUring) return AllowRing({IORING_OP_READ}, why);
  return AllowAll({"pread64", "read"}, why);
}

ProfileBuilder& ProfileBuilder::AllowFilesBelow(const std::vector<std::string>& paths,
                                                uint64_t rights, std::string_view why) {
  for (const std::string& path : paths)
    profile_.paths.push_back({.path = path, .rights = rights, .opened = {}});
  AllowFileReading(why);
  if (profile_.backend == Backend::kUring) {
    AllowRing({IORING_OP_OPENAT2, IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_RENAMEAT,
               IORING_OP_LINKAT, IORING_OP_UNLINKAT},
              why);
    profile_.ring_sqe_flags |= IOSQE_IO_LINK;
  } else {
    AllowAll({"openat2", "pwrite64", "fsync", "fdatasync", "renameat2", "linkat", "unlinkat"}, why);
  }
  return *this;
}

ProfileBuilder& ProfileBuilder::AllowFilesBelow(UniqueFd directory, uint64_t rights,
                                                std::string_view why) {
  AllowFilesBelow(std::vector<std::string>{}, rights, why);
  profile_.paths.push_back({.path = "a directory opened before",
                            .rights = rights,
                            .opened = std::make_shared<UniqueFd>(std::move(directory))});
  return *this;
}

ProfileBuilder& ProfileBuilder::AllowConnectPorts(std::vector<uint16_t> ports) {
  profile_.connect_ports = std::move(ports);
  return *this;
}

ProfileBuilder& ProfileBuilder::KeepNetwork(std::string_view why) {
  profile_.namespaces.keep_network = true;
  profile_.reasons.push_back("network: " + std::string(why));
  return *this;
}

ProfileBuilder& ProfileBuilder::ShowDirectories(const std::vector<std::string>& paths,
                                                std::string_view why) {
  for (const std::string& path : paths) {
    profile_.namespaces.shown.push_back({.path = path});
    profile_.reasons.push_back(path + ": " + std::string(why));
  }
  return *this;
}

ProfileBuilder& ProfileBuilder::Limit(__rlimit_resource resource, uint64_t value) {
  std::erase_if(profile_.limits,
                [&](const sandbox::Limit& limit) { return limit.resource == resource; });
  profile_.limits.push_back({resource, value});
  return *this;
}

}  // namespace postern::sandbox
