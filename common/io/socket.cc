#include "common/io/socket.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace postern::io {

// The receiving half and the descriptor. It outlives its Socket until the kernel has completed the
// multishot receive, whose completions name it.
struct Socket::State final : Operation {
  State(Loop& on_loop, UniqueFd socket) : Operation(OpCode::kReceiveMultishot) {
    loop = &on_loop;
    fd = socket.release();
  }
  ~State() override = default;

  struct Chunk {
    uint32_t buffer_id;
    uint32_t octets;
    std::unique_ptr<char[]> copy;  // instead of the buffer, when too many were held
  };

  void Arm() {
    if (started || wait_link.linked() || ended) return;
    loop->StartMultishot(*this);
  }
  void OnCompletion(int result, uint32_t buffer_id, bool more) override;
  void Keep(uint32_t buffer_id, uint32_t octets);
  void Release(const Chunk& chunk) {
    if (!chunk.copy) loop->ReturnBuffer(chunk.buffer_id);
  }
  void DropChunks();
  std::string_view Unread() const {
    if (chunks.empty()) return {};
    const Chunk& first = chunks.front();
    const char* bytes = first.copy ? first.copy.get() : loop->BufferAt(first.buffer_id);
    return std::string_view(bytes, first.octets).substr(consumed);
  }

  std::deque<Chunk> chunks;
  size_t consumed = 0;  // of the first chunk
  bool ended = false;   // the peer closed, or `error` is set
  int error = 0;
  bool orphaned = false;
  bool interrupted = false;
  Event arrived;
};

void Socket::State::OnCompletion(int result, uint32_t buffer_id, bool more) {
  if (result > 0) {
    loop->TookBuffer();
    if (orphaned) {
      loop->ReturnBuffer(buffer_id);
    } else {
      Keep(buffer_id, static_cast<uint32_t>(result));
      // The reader is slower than the peer: let the kernel hold the rest back.
      if (chunks.size() >= kMaxHeldBuffers && more) loop->Cancel(*this, Ended::kByItself);
    }
  }
  if (orphaned) {
    if (!more) delete this;
    return;
  }
  if (result == 0) ended = true;
  if (!more && result < 0) {
    if (result == -ENOBUFS) {
      loop->WaitForBuffer(*this);
    } else if (result != -ECANCELED || cancelled_by == Ended::kNo) {
      ended = true;
      error = -result;
    }
  }
  arrived.Wake();
}

// One completion of a multishot receive may be one of dozens that came at once, before any
// cancellation could act: beyond the limit the bytes are copied, so that the buffer serves other
// connections.
void Socket::State::Keep(uint32_t buffer_id, uint32_t octets) {
  Chunk& chunk = chunks.emplace_back(Chunk{buffer_id, octets, nullptr});
  if (chunks.size() <= kMaxHeldBuffers) return;
  chunk.copy = std::make_unique<char[]>(octets);
  std::memcpy(chunk.copy.get(), loop->BufferAt(buffer_id), octets);
  loop->ReturnBuffer(buffer_id);
}

void Socket::State::DropChunks() {
  for (const Chunk& chunk : chunks) Release(chunk);
  chunks.clear();
  consumed = 0;
}

Socket::Socket(Loop& loop, UniqueFd fd) : state_(new State(loop, std::move(fd))) {}

Socket::Socket(Socket&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

Socket::~Socket() {
  if (state_ == nullptr) return;
  Loop& loop = *state_->loop;
  const int fd = state_->fd;
  state_->DropChunks();
  state_->wait_link.Unlink();
  if (state_->started) {
    state_->orphaned = true;
    loop.Cancel(*state_, Operation::Ended::kByItself);
  } else {
    delete state_;
  }
  if (fd >= 0) loop.Close(fd);
}

int Socket::fd() const { return state_->fd; }

size_t Socket::held_buffers() const {
  return static_cast<size_t>(std::count_if(state_->chunks.begin(), state_->chunks.end(),
                                           [](const State::Chunk& chunk) { return !chunk.copy; }));
}

std::string_view Socket::Unread() { return state_->Unread(); }

void Socket::Consume(size_t octets) {
  if (octets == 0) return;
  CHECK(octets <= state_->Unread().size());
  state_->consumed += octets;
  const State::Chunk& first = state_->chunks.front();
  if (state_->consumed < first.octets) return;
  state_->Release(first);
  state_->chunks.pop_front();
  state_->consumed = 0;
}

Task<absl::StatusOr<std::string_view>> Socket::Receive(Deadline until) {
  State& state = *state_;
  state.interrupted = false;
  while (state.chunks.empty()) {
    if (state.ended) {
      if (state.error != 0) co_return ErrnoStatus(state.error, "receive");
      co_return std::string_view();
    }
    state.Arm();
    const absl::Status arrived = co_await state.arrived.Wait(until);
    if (std::exchange(state.interrupted, false))
      co_return absl::AbortedError("receive: interrupted");
    if (!arrived.ok() && state.chunks.empty()) co_return Annotate(arrived, "receive");
  }
  co_return state.Unread();
}

void Socket::Interrupt() {
  state_->interrupted = true;
  state_->arrived.Wake();
}

Task<absl::Status> Socket::Send(std::string_view bytes, Deadline until) {
  while (!bytes.empty()) {
    OperationAwaiter send(*state_->loop, OpCode::kSend, until);
    send.fd = state_->fd;
    send.buffer = const_cast<char*>(bytes.data());
    send.length = static_cast<uint32_t>(std::min<size_t>(bytes.size(), 1u << 30));
    send.flags = MSG_WAITALL;
    const int sent = co_await send;
    if (sent < 0) co_return ErrnoStatus(-sent, "send");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<UniqueFd>> Socket::Release() {
  State& state = *state_;
  state.wait_link.Unlink();  // whoever waits for a buffer would be armed again
  if (state.started) {
    state.loop->Cancel(state, Operation::Ended::kByItself);
    while (state.started) {
      CO_RETURN_IF_ERROR(co_await state.arrived.Wait(Deadline::Never()));
    }
  }
  if (!state.chunks.empty() || state.ended) {
    co_return FailedPrecondition("hand over socket: something was received already");
  }
  // Another process may keep the connection open after our descriptor of it is closed: then the
  // kernel would watch it for us still, under a number that has become another socket's.
  state.loop->Forget(state.fd);
  co_return UniqueFd(std::exchange(state.fd, -1));
}

Task<absl::Status> Connect(Loop& loop, int fd, const SocketAddress& address, Deadline until) {
  sockaddr_storage storage;
  OperationAwaiter connect(loop, OpCode::kConnect, until);
  connect.fd = fd;
  connect.length = address.ToSockaddr(storage);
  connect.buffer = &storage;
  const int result = co_await connect;
  if (result < 0) co_return ErrnoStatus(-result, "connect to ", address.ToString());
  co_return absl::OkStatus();
}

Task<absl::Status> ConnectUnix(Loop& loop, int fd, std::string_view path, Deadline until) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    co_return InvalidArgument("connect to ", path, ": the path is too long for a socket");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  OperationAwaiter connect(loop, OpCode::kConnect, until);
  connect.fd = fd;
  connect.length = sizeof address;
  connect.buffer = &address;
  const int result = co_await connect;
  if (result < 0) co_return ErrnoStatus(-result, "connect to ", path);
  co_return absl::OkStatus();
}

namespace {

absl::StatusOr<SocketAddress> AddressBy(int (*get)(int, sockaddr*, socklen_t*), int fd,
                                        std::string_view what) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (get(fd, reinterpret_cast<sockaddr*>(&storage), &length) < 0) return ErrnoStatus(errno, what);
  return SocketAddress::From(storage);
}

}  // namespace

absl::StatusOr<SocketAddress> PeerAddress(int fd) {
  return AddressBy(::getpeername, fd, "getpeername");
}
absl::StatusOr<SocketAddress> LocalAddress(int fd) {
  return AddressBy(::getsockname, fd, "getsockname");
}

}  // namespace postern::io
