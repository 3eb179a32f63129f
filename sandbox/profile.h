// sandbox/profile.h — what one daemon may do, as data. Everything not named here is killed.
//
// seccomp does not see what is submitted through a ring, so a profile names system calls and ring
// operations; it is built for one backend. Profiles are written with ProfileBuilder, one file a
// daemon in profiles/, and read like sentences.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/unique_fd.h"
#include "sandbox/namespaces.h"

namespace postern::sandbox {

enum class Backend { kUring, kEpoll };

// A condition on one argument of a system call (64 bits, as seccomp sees it).
struct Argument {
  enum class Is : uint8_t {
    kEqual,
    kMaskedEqual,
    kOwnProcess,      // the pid of whoever compiles the filter
    kRegisteredRing,  // the index under which the process's one ring is registered
  };
  uint32_t index = 0;
  Is is = Is::kEqual;
  uint64_t value = 0;
  uint64_t mask = ~uint64_t{0};

  static Argument Equals(uint32_t index, uint64_t value) { return {index, Is::kEqual, value, 0}; }
  static Argument Masked(uint32_t index, uint64_t mask, uint64_t value) {
    return {index, Is::kMaskedEqual, value, mask};
  }
  static Argument OwnProcess(uint32_t index) { return {index, Is::kOwnProcess, 0, 0}; }
  static Argument RegisteredRing(uint32_t index) { return {index, Is::kRegisteredRing, 0, 0}; }
};

struct SyscallRule {
  int number = -1;
  std::string name;
  std::vector<Argument> arguments;  // all must hold
  std::optional<int> refuse_with;   // errno instead of the call; none: allowed
};

// Rights below one path (LANDLOCK_ACCESS_FS_* bits). `opened`, if set, is the path's descriptor,
// opened while the process could still walk there; otherwise the path is opened by the user it runs
// as.
struct PathGrant {
  std::string path;
  uint64_t rights = 0;
  std::shared_ptr<UniqueFd> opened;
};

struct Limit {
  __rlimit_resource resource = RLIMIT_CORE;
  uint64_t value = 0;
};

struct Profile {
  std::string name;
  Backend backend = Backend::kUring;
  std::vector<SyscallRule> syscalls;
  std::vector<uint8_t> ring_operations;  // IORING_OP_*
  uint8_t ring_sqe_flags = 0;            // IOSQE_* bits
  bool sends_by_writing = false;         // the loop's SEND is a WRITE
  std::vector<PathGrant> paths;
  std::vector<uint16_t> connect_ports;
  std::vector<Limit> limits;
  Namespaces namespaces;
  std::vector<std::string> reasons;  // one a grant, for `postern` and the README's table
};

// What a process may map altogether unless its profile says another: far above what any needs, and
// below what would take the machine's memory from the others.
inline constexpr uint64_t kAddressOctets = uint64_t{4} << 30;
// Those whose memory grows with the queue, or with a cache of up to 4 GiB (dns.cache_octets).
inline constexpr uint64_t kLargeAddressOctets = uint64_t{16} << 30;
// Edges to each worker of the neighbours, twice over while one is replaced, and what else is open.
inline constexpr uint64_t kEdgeDescriptors = 512;

// Rights in the words of Landlock, put together for our uses.
inline constexpr uint64_t kReadFiles = 1u << 2 | 1u << 3;                 // READ_FILE, READ_DIR
inline constexpr uint64_t kWriteFiles = kReadFiles | 1u << 1 | 1u << 14;  // WRITE_FILE, TRUNCATE
// MAKE_REG, REMOVE_FILE, REFER (renaming from one directory into another). Never MAKE_DIR or
// REMOVE_DIR: directories are made before the confinement.
inline constexpr uint64_t kManageFiles = kWriteFiles | 1u << 8 | 1u << 5 | 1u << 13;

class ProfileBuilder {
 public:
  // Starts with what every process of ours needs once it runs: memory, time, its log, its end, the
  // ring or epoll, and receiving on the edges.
  ProfileBuilder(std::string_view name, Backend backend);

  ProfileBuilder& Allow(std::string_view syscall, std::initializer_list<Argument> arguments,
                        std::string_view why);
  ProfileBuilder& AllowAll(std::initializer_list<std::string_view> syscalls, std::string_view why);
  ProfileBuilder& AllowRing(std::initializer_list<uint8_t> operations, std::string_view why);
  // setsockopt or getsockopt, for the options `names` of `level` alone.
  ProfileBuilder& AllowSocketOptions(std::string_view syscall, int level,
                                     std::initializer_list<int> names, std::string_view why);
  // Answered with an errno instead of death: libraries that ask and cope. With arguments: only such
  // calls, and what is allowed of the same name must name arguments that exclude them.
  ProfileBuilder& Refuse(std::string_view syscall, int error, std::string_view why);
  ProfileBuilder& Refuse(std::string_view syscall, std::initializer_list<Argument> arguments,
                         int error, std::string_view why);

  // Connections from strangers: accept, receive into shared buffers.
  ProfileBuilder& AllowServingSockets();
  // For whoever holds sockets that are not connected: on the ring a SEND may carry an address and
  // MSG_FASTOPEN, and so connect where Landlock refuses CONNECT. A WRITE carries neither.
  ProfileBuilder& SendByWriting();
  // Outgoing stream sockets, TCP over IPv4 and IPv6 (and Unix sockets for LMTP, if `unix`).
  ProfileBuilder& AllowClientSockets(bool unix_sockets);
  // Passing descriptors on to the next process.
  ProfileBuilder& AllowSendingDescriptors();
  ProfileBuilder& AllowFileReading(std::string_view why);
  // Opening, writing, syncing, renaming and removing, below `paths` only.
  ProfileBuilder& AllowFilesBelow(const std::vector<std::string>& paths, uint64_t rights,
                                  std::string_view why);
  // The same for one directory that is open already.
  ProfileBuilder& AllowFilesBelow(UniqueFd directory, uint64_t rights, std::string_view why);
  // TCP, where the kernel's Landlock knows ports (ABI 4).
  ProfileBuilder& AllowConnectPorts(std::vector<uint16_t> ports);
  // Without this the process has no network but the sockets it is given.
  ProfileBuilder& KeepNetwork(std::string_view why);
  // What stays of the file system, with all below it. What a daemon opens before its confinement is
  // shown by Service::EnterNamespaces instead.
  ProfileBuilder& ShowDirectories(const std::vector<std::string>& paths, std::string_view why);
  // The last word on a resource counts.
  ProfileBuilder& Limit(__rlimit_resource resource, uint64_t value);
  // For those who hand no file to the ring: its helper threads, which the filter cannot see, are
  // processes to this limit. Work on files needs them and would end -ECANCELED.
  ProfileBuilder& AllowNoThreadsOfTheKernel() { return Limit(RLIMIT_NPROC, 0); }
  Profile KillTheRest() { return std::move(profile_); }

 private:
  Profile profile_;
};

}  // namespace postern::sandbox
