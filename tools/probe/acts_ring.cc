// The ring, which the system call filter does not see: operations outside of the role's list,
// flags, what a listed operation must not reach, and changing the ring itself.
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "sandbox/constants.h"
#include "tools/probe/acts.h"

namespace postern::probe {
namespace {

// By number; those that Debian 12's header does not know come from the kernel's documentation.
constexpr const char* kOperationNames[] = {"NOP",
                                           "READV",
                                           "WRITEV",
                                           "FSYNC",
                                           "READ_FIXED",
                                           "WRITE_FIXED",
                                           "POLL_ADD",
                                           "POLL_REMOVE",
                                           "SYNC_FILE_RANGE",
                                           "SENDMSG",
                                           "RECVMSG",
                                           "TIMEOUT",
                                           "TIMEOUT_REMOVE",
                                           "ACCEPT",
                                           "ASYNC_CANCEL",
                                           "LINK_TIMEOUT",
                                           "CONNECT",
                                           "FALLOCATE",
                                           "OPENAT",
                                           "CLOSE",
                                           "FILES_UPDATE",
                                           "STATX",
                                           "READ",
                                           "WRITE",
                                           "FADVISE",
                                           "MADVISE",
                                           "SEND",
                                           "RECV",
                                           "OPENAT2",
                                           "EPOLL_CTL",
                                           "SPLICE",
                                           "PROVIDE_BUFFERS",
                                           "REMOVE_BUFFERS",
                                           "TEE",
                                           "SHUTDOWN",
                                           "RENAMEAT",
                                           "UNLINKAT",
                                           "MKDIRAT",
                                           "SYMLINKAT",
                                           "LINKAT",
                                           "MSG_RING",
                                           "FSETXATTR",
                                           "SETXATTR",
                                           "FGETXATTR",
                                           "GETXATTR",
                                           "SOCKET",
                                           "URING_CMD",
                                           "SEND_ZC",
                                           "SENDMSG_ZC",
                                           "READ_MULTISHOT",
                                           "WAITID",
                                           "FUTEX_WAIT",
                                           "FUTEX_WAKE",
                                           "FUTEX_WAITV",
                                           "FIXED_FD_INSTALL",
                                           "FTRUNCATE",
                                           "BIND",
                                           "LISTEN",
                                           "RECV_ZC",
                                           "EPOLL_WAIT",
                                           "READV_FIXED",
                                           "WRITEV_FIXED",
                                           "PIPE"};

std::string OperationName(unsigned operation) {
  if (operation < std::size(kOperationNames)) return kOperationNames[operation];
  return "operation " + std::to_string(operation);
}

constexpr int kSecondsForAnAnswer = 2;

// The ring's answer to what `prepare` asks. Without an answer nobody refused.
long Ask(const Scene& s, const std::function<void(io_uring_sqe*)>& prepare) {
  io_uring_sqe* sqe = io_uring_get_sqe(s.ring);
  if (sqe == nullptr) return 0;
  prepare(sqe);
  __kernel_timespec limit{.tv_sec = kSecondsForAnAnswer, .tv_nsec = 0};
  io_uring_cqe* cqe = nullptr;
  const int submitted = io_uring_submit_and_wait_timeout(s.ring, &cqe, 1, &limit, nullptr);
  if (submitted == -ETIME || cqe == nullptr) return submitted == -ETIME ? 0 : submitted;
  const int result = cqe->res;
  io_uring_cqe_seen(s.ring, cqe);
  return result;
}

bool Lists(const sandbox::Profile& profile, unsigned operation) {
  return std::ranges::find(profile.ring_operations, operation) != profile.ring_operations.end();
}

// With arguments that stand for nothing: whoever is let through gets another error.
void AddUnlisted(std::vector<Act>& acts, const sandbox::Profile& profile, unsigned operations) {
  for (unsigned operation = 0; operation < operations; ++operation) {
    Act act{.group = "ring",
            .name = "have the ring do " + OperationName(operation),
            .attempt =
                [operation](const Scene& s) {
                  return Ask(s, [operation](io_uring_sqe* sqe) {
                    *sqe = {};
                    sqe->opcode = static_cast<uint8_t>(operation);
                    sqe->fd = -1;
                  });
                },
            .needs_ring = true};
    if (Lists(profile, operation))
      act.allowed = {.roles = {profile.name}, .reason = "the profile lists it"};
    acts.push_back(std::move(act));
  }
  acts.push_back({.group = "ring",
                  .name = "have the ring do what no kernel knows",
                  .attempt =
                      [](const Scene& s) {
                        return Ask(s, [](io_uring_sqe* sqe) {
                          *sqe = {};
                          sqe->opcode = 255;
                        });
                      },
                  .refusals = {EINVAL},
                  .needs_ring = true});
}

void AddFlags(std::vector<Act>& acts, const sandbox::Profile& profile) {
  const struct {
    const char* name;
    uint8_t flag;
  } flags[] = {{"a registered file", IOSQE_FIXED_FILE},
               {"after all before", IOSQE_IO_DRAIN},
               {"with the next", IOSQE_IO_LINK},
               {"with the next, whatever comes", IOSQE_IO_HARDLINK},
               {"by a thread of the kernel", IOSQE_ASYNC},
               {"with a buffer of the ring", IOSQE_BUFFER_SELECT},
               {"without an answer", IOSQE_CQE_SKIP_SUCCESS}};
  for (const auto& one : flags) {
    Act act{.group = "ring",
            .name = std::string("have the ring close ") + one.name,
            .attempt =
                [flag = one.flag](const Scene& s) {
                  return Ask(s, [flag](io_uring_sqe* sqe) {
                    io_uring_prep_close(sqe, 1000);  // EBADF to whoever is let through
                    sqe->flags |= flag;
                  });
                },
            .needs_ring = true};
    // Refused before the list is looked at: closing takes no buffer.
    if (one.flag == IOSQE_BUFFER_SELECT) act.refusals = {EOPNOTSUPP};
    if ((profile.ring_sqe_flags & one.flag) != 0)
      act.allowed = {.roles = {profile.name}, .reason = "the profile lists the flag"};
    acts.push_back(std::move(act));
  }
  acts.push_back({.group = "ring",
                  .name = "have the ring close as somebody else",
                  .attempt =
                      [](const Scene& s) {
                        return Ask(s, [](io_uring_sqe* sqe) {
                          io_uring_prep_close(sqe, 1000);
                          sqe->personality = 1;
                        });
                      },
                  .refusals = {EINVAL},  // there is nobody else: registering one is an act below
                  .needs_ring = true});
}

// What the list allows some roles, aimed at what is not theirs.
void AddReaching(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt, int abi = 0) {
    acts.push_back({.group = "ring reach",
                    .name = name,
                    .attempt = attempt,
                    .refusals = kHidden,
                    .needs_ring = true,
                    .landlock_abi = abi});
  };
  static const open_how kRead{.flags = O_RDONLY, .mode = 0, .resolve = 0};
  static const open_how kMake{.flags = O_WRONLY | O_CREAT, .mode = 0600, .resolve = 0};
  const auto open = [](const Scene& s, const std::string& path, const open_how& how) {
    return Ask(s, [&](io_uring_sqe* sqe) {
      io_uring_prep_openat2(sqe, AT_FDCWD, path.c_str(), const_cast<open_how*>(&how));
    });
  };
  add("open a file by the ring", [=](const Scene& s) { return open(s, s.stage.readable, kRead); });
  add("open root's file by the ring",
      [=](const Scene& s) { return open(s, s.stage.secret, kRead); });
  add("open root's file in the spool by the ring",
      [=](const Scene& s) { return open(s, s.stage.spool + "/secret", kRead); });
  acts.back().needs_root = true;
  add("open root's file in the mailbox by the ring",
      [=](const Scene& s) { return open(s, s.stage.mailbox + "/secret", kRead); });
  acts.back().needs_root = true;
  add("leave the spool through a link by the ring",
      [=](const Scene& s) { return open(s, s.stage.spool + "/link", kRead); });
  add("leave the mailbox through .. by the ring",
      [=](const Scene& s) { return open(s, s.stage.mailbox + "/../writable", kRead); });
  add("make a file by the ring",
      [=](const Scene& s) { return open(s, s.stage.open_directory + "/new", kMake); });
  add("open its own memory by the ring",
      [=](const Scene& s) { return open(s, "/proc/self/mem", kRead); });
  add("open /etc/passwd by the ring",
      [=](const Scene& s) { return open(s, "/etc/passwd", kRead); });
  add("remove a file by the ring", [](const Scene& s) {
    const std::string path = s.stage.open_directory + "/file";
    return Ask(s,
               [&](io_uring_sqe* sqe) { io_uring_prep_unlinkat(sqe, AT_FDCWD, path.c_str(), 0); });
  });
  const auto rename = [](const Scene& s, const std::string& from, const std::string& to) {
    return Ask(s, [&](io_uring_sqe* sqe) {
      io_uring_prep_renameat(sqe, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0);
    });
  };
  add("move a file out of the spool by the ring", [=](const Scene& s) {
    return rename(s, s.stage.spool + "/file", s.stage.open_directory + "/moved");
  });
  add("move a file into the mailbox by the ring", [=](const Scene& s) {
    return rename(s, s.stage.open_directory + "/file", s.stage.mailbox + "/moved");
  });
  add("link a file into the spool by the ring", [](const Scene& s) {
    const std::string from = s.stage.writable, to = s.stage.spool + "/linked";
    return Ask(s, [&](io_uring_sqe* sqe) {
      io_uring_prep_linkat(sqe, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0);
    });
  });
  const auto socket = [] {
    return Call(SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  };
  const auto loopback = [](const Scene& s) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(s.stage.tcp_port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return to;
  };
  add(
      "connect to a port of no mail by the ring",
      [=](const Scene& s) {
        const long fd = socket();
        const sockaddr_in to = loopback(s);
        if (fd < 0) return fd;
        return Ask(s, [&](io_uring_sqe* sqe) {
          io_uring_prep_connect(sqe, static_cast<int>(fd), reinterpret_cast<const sockaddr*>(&to),
                                sizeof to);
        });
      },
      4);
  add("open a connection with its first data by the ring", [=](const Scene& s) {
    const long fd = socket();
    const sockaddr_in to = loopback(s);
    if (fd < 0) return fd;
    return Ask(s, [&](io_uring_sqe* sqe) {
      io_uring_prep_send(sqe, static_cast<int>(fd), "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL);
      io_uring_prep_send_set_addr(sqe, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    });
  });
}

void AddChangingTheRing(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "ring itself", .name = name, .attempt = attempt, .needs_ring = true});
  };
  const struct {
    const char* name;
    unsigned operation;
    unsigned count;
  } rows[] = {
      {"ask the ring what it knows", IORING_REGISTER_PROBE, 0},
      {"let the ring act as somebody", IORING_REGISTER_PERSONALITY, 0},
      {"restrict the ring anew", IORING_REGISTER_RESTRICTIONS, 0},
      {"enable the ring anew", IORING_REGISTER_ENABLE_RINGS, 0},
      {"give files to the ring", IORING_REGISTER_FILES, 1},
      {"give memory to the ring", IORING_REGISTER_BUFFERS, 1},
      {"have the ring count into a descriptor", IORING_REGISTER_EVENTFD, 1},
      {"give the ring other threads", IORING_REGISTER_IOWQ_MAX_WORKERS, 2},
      {"register another ring", IORING_REGISTER_RING_FDS, 1},
      {"unregister the ring", IORING_UNREGISTER_RING_FDS, 1},
      {"give the ring receive buffers", IORING_REGISTER_PBUF_RING, 1},
      {"have the ring cancel", IORING_REGISTER_SYNC_CANCEL, 1},
  };
  for (const auto& row : rows) {
    const unsigned operation = row.operation, count = row.count;
    add(row.name, [=](const Scene& s) {
      char argument[512] = {};
      return Call(SYS_io_uring_register, s.ring->enter_ring_fd,
                  operation | sandbox::kUseRegisteredRing, argument, count);
    });
  }
  // Without any ring: a message to another, which no restriction sees.
  add("send a message to a ring without one", [](const Scene&) {
    io_uring_sqe message{};
    return Call(SYS_io_uring_register, -1, 31, &message, 1);
  });
  add("enter a ring by its descriptor", [](const Scene& s) {
    return Call(SYS_io_uring_enter, s.stage.program_fd.get(), 0, 0, 0, nullptr, 0);
  });
}

}  // namespace

void AddRingActs(std::vector<Act>& acts, const sandbox::Profile& profile,
                 unsigned ring_operations) {
  // Flags last: a DRAIN that is refused still drains, and what follows goes to threads of the
  // kernel.
  AddUnlisted(acts, profile, ring_operations);
  AddReaching(acts);
  AddChangingTheRing(acts);
  AddFlags(acts, profile);
}

}  // namespace postern::probe
