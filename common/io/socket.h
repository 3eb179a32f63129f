// common/io/socket.h — stream sockets on the loop.
#pragma once

#include <deque>
#include <memory>
#include <string_view>

#include "common/base/ip.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/io/event.h"
#include "common/io/loop.h"
#include "common/io/stream.h"

namespace postern::io {

// A connected stream socket. While nobody sends to it, it owns no receive buffer: bytes arrive in
// buffers of the loop (LoopOptions::buffer_count must not be 0), at most kMaxHeldBuffers at a time.
class Socket final : public ByteStream {
 public:
  static constexpr size_t kMaxHeldBuffers = 8;

  Socket(Loop& loop, UniqueFd fd);
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) = delete;
  // Closes. Bytes sent before still go out; nothing waits.
  ~Socket() override;

  int fd() const;
  // Buffers of the loop that hold bytes not yet consumed.
  size_t held_buffers() const;

  std::string_view Unread() override;
  Task<absl::StatusOr<std::string_view>> Receive(Deadline until) override;
  void Consume(size_t octets) override;
  Task<absl::Status> Send(std::string_view bytes, Deadline until) override;

  // Ends a Receive that waits now (of this process's own accord, not the peer's) with kAborted.
  void Interrupt();

  // Gives the socket away, with nothing received and unread (kFailedPrecondition otherwise): it
  // goes to another process. Waits until the kernel has let go of it.
  Task<absl::StatusOr<UniqueFd>> Release();

 private:
  struct State;
  State* state_;
};

// Connects a socket made by the caller.
// Errors: kUnavailable (refused, unreachable), kDeadlineExceeded, kCancelled, kPermissionDenied
Task<absl::Status> Connect(Loop& loop, int fd, const SocketAddress& address, Deadline until);
// A pathname Unix socket.
Task<absl::Status> ConnectUnix(Loop& loop, int fd, std::string_view path, Deadline until);

// The two ends' addresses of a connected socket; kNone families for Unix sockets.
absl::StatusOr<SocketAddress> PeerAddress(int fd);
absl::StatusOr<SocketAddress> LocalAddress(int fd);

}  // namespace postern::io
