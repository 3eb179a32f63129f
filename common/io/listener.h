// common/io/listener.h — listening sockets on the loop.
#pragma once

#include "common/base/ip.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/io/loop.h"

namespace postern::io {

// A listening socket (TCP or Unix) that gives its connections one by one.
class Listener {
 public:
  // Whether connections come with the address of the other end, as accept4 tells it. kUnnamed costs
  // least: one multishot accept, which cannot tell; kNamed has several accepts wait side by side.
  enum class Peers : uint8_t { kUnnamed, kNamed };

  struct Connection {
    UniqueFd fd;
    SocketAddress peer;  // kNone family: a Unix socket, or kUnnamed
  };

  // When as many connections were accepted and not asked for, the rest waits in the kernel's queue;
  // a multishot accept may bring more, but only those that waited already.
  static constexpr size_t kMaxAcceptedAhead = 64;
  // Accepts that wait side by side (kNamed).
  static constexpr size_t kMaxAcceptsAtOnce = 16;

  // The descriptor listens already, and does not block (epoll would, when another process that
  // accepts from it too was faster).
  Listener(Loop& loop, UniqueFd fd, Peers peers = Peers::kUnnamed);
  Listener(const Listener&) = delete;
  ~Listener();

  int fd() const;

  // Fewer than kMaxAcceptedAhead: with 1, a process that accepted waits behind the others that
  // share the socket, and they take turns. Otherwise io_uring gives all connections to the process
  // that waited first, as long as it keeps up.
  void set_accepted_ahead(size_t connections);

  // Errors: kCancelled          stop requested
  //         kResourceExhausted  no descriptor left: wait a little before trying again
  Task<absl::StatusOr<Connection>> Accept(Deadline until);

 private:
  struct State;
  State* state_;
};

}  // namespace postern::io
