#include "common/io/epoll_backend.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/unique_fd.h"
#include "common/io/buffer_pool.h"
#include "common/io/clock.h"
#include "common/io/loop.h"

namespace postern::io {
namespace {

// How many results a multishot operation may have in one turn, so that one busy peer cannot keep
// the loop to itself.
constexpr int kMultishotPerTurn = 16;

enum class Direction : uint8_t { kRead, kWrite, kNone };

Direction DirectionOf(const Operation& op) {
  switch (op.code) {
    case OpCode::kAccept:
    case OpCode::kAcceptMultishot:
    case OpCode::kReceive:
    case OpCode::kReceiveMultishot:
    case OpCode::kReceiveMessage:
      return Direction::kRead;
    case OpCode::kConnect:
    case OpCode::kSend:
    case OpCode::kSendMessage:
      return Direction::kWrite;
    case OpCode::kPoll:
      return (op.flags & POLLOUT) != 0 ? Direction::kWrite : Direction::kRead;
    default:
      return Direction::kNone;
  }
}

bool IsMultishot(const Operation& op) {
  return op.code == OpCode::kAcceptMultishot || op.code == OpCode::kReceiveMultishot;
}

// Whether the events `what` may have made `op` possible. A poll for several events sits in one
// place.
bool Concerns(const Operation* op, uint32_t what, uint32_t direction) {
  if (op == nullptr) return false;
  return op->code == OpCode::kPoll || (what & (direction | EPOLLHUP | EPOLLERR)) != 0;
}

int ResultOf(ssize_t returned) { return returned < 0 ? -errno : static_cast<int>(returned); }

class EpollBackend final : public Backend {
 public:
  absl::Status SetUp(const LoopOptions& options);

  std::string_view name() const override { return "epoll"; }
  bool Start(Operation& operation, int* result) override;
  void Cancel(Operation& operation) override;
  void Close(int fd) override;
  void Forget(int fd) override;
  absl::Status Wait(int64_t timeout_ns) override;
  char* BufferAt(uint32_t id) override { return pool_.At(id); }
  void ReturnBuffer(uint32_t id) override { free_buffers_.push_back(id); }
  size_t pending() const override { return pending_; }
  uint64_t kernel_entries() const override { return kernel_entries_; }
  int64_t NowNanoseconds() const override { return MonotonicNanoseconds(); }
  int64_t WallNanoseconds() const override { return RealtimeNanoseconds(); }

 private:
  // An operation that ends in the next Wait by no doing of its descriptor.
  struct Ending {
    Operation* operation;
    int result;
  };
  struct Watched {
    Operation* reader = nullptr;
    Operation* writer = nullptr;
    bool registered = false;
  };

  Watched& At(int fd);
  Operation*& SlotOf(Operation& op);
  int Watch(Operation& op, bool& may_be_ready);
  bool IsEnding(const Operation& op) const;
  int Try(Operation& op);
  int TryOnce(Operation& op);
  int TryAccept(Operation& op);
  int TryConnect(Operation& op);
  void Attempt(Operation& op);
  void AttemptMultishot(Operation& op);
  void Complete(Operation& op, int result, uint32_t buffer_id, bool more);

  UniqueFd epoll_;
  std::vector<Watched> watched_;
  BufferPool pool_;
  std::vector<uint32_t> free_buffers_;
  // Operations to try again in the next Wait, and those that end there.
  std::vector<Operation*> retries_;
  std::vector<Ending> endings_;
  size_t pending_ = 0;
  uint64_t kernel_entries_ = 0;
};

absl::Status EpollBackend::SetUp(const LoopOptions& options) {
  epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return ErrnoStatus(errno, "epoll_create1");
  if (options.buffer_count == 0) return absl::OkStatus();
  RETURN_IF_ERROR(pool_.Map(options.buffer_octets, options.buffer_count));
  for (uint32_t id = options.buffer_count; id > 0; --id) free_buffers_.push_back(id - 1);
  return absl::OkStatus();
}

EpollBackend::Watched& EpollBackend::At(int fd) {
  CHECK(fd >= 0);
  if (static_cast<size_t>(fd) >= watched_.size()) watched_.resize(static_cast<size_t>(fd) + 1);
  return watched_[static_cast<size_t>(fd)];
}

Operation*& EpollBackend::SlotOf(Operation& op) {
  Watched& watched = At(op.fd);
  return DirectionOf(op) == Direction::kRead ? watched.reader : watched.writer;
}

// Parks `op` until its descriptor is ready: 0, or -errno. Registering reports what is ready
// already; if the descriptor was registered before, `may_be_ready`: its edge may be past.
int EpollBackend::Watch(Operation& op, bool& may_be_ready) {
  Operation*& slot = SlotOf(op);
  CHECK(slot == nullptr);  // one reader and one writer a descriptor
  Watched& watched = At(op.fd);
  // These are begun on descriptors that their owners may close without telling us, so that our note
  // may be of an earlier one with the same number.
  const bool doubtful = op.code == OpCode::kConnect || op.code == OpCode::kPoll;
  may_be_ready = watched.registered && !doubtful;
  if (!may_be_ready) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.fd = op.fd;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, op.fd, &event) < 0 &&
        (errno != EEXIST || ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, op.fd, &event) < 0)) {
      return -errno;
    }
    watched.registered = true;
  }
  slot = &op;
  ++pending_;
  return 0;
}

bool EpollBackend::IsEnding(const Operation& op) const {
  return std::any_of(endings_.begin(), endings_.end(),
                     [&op](const Ending& ending) { return ending.operation == &op; });
}

int EpollBackend::TryConnect(Operation& op) {
  // Called again when writable: a second connect() says EISCONN or the error of the first.
  const int result = ResultOf(::connect(op.fd, static_cast<sockaddr*>(op.buffer), op.length));
  if (result == -EINPROGRESS || result == -EALREADY) return -EAGAIN;
  // A Unix listener whose queue is full: nothing would tell us when there is room.
  if (result == -EAGAIN) return -ECONNREFUSED;
  return result == -EISCONN ? 0 : result;
}

int EpollBackend::TryAccept(Operation& op) {
  constexpr int kFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  auto* peer = static_cast<AcceptedPeer*>(op.buffer);
  if (peer == nullptr) return ResultOf(::accept4(op.fd, nullptr, nullptr, kFlags));
  peer->length = sizeof peer->address;
  return ResultOf(
      ::accept4(op.fd, reinterpret_cast<sockaddr*>(&peer->address), &peer->length, kFlags));
}

// Makes the system call without blocking on sockets; -EAGAIN means: wait.
int EpollBackend::Try(Operation& op) {
  int result;
  do {
    result = TryOnce(op);
  } while (result == -EINTR);  // a signal; an interrupted connect goes on and says EALREADY
  return result;
}

int EpollBackend::TryOnce(Operation& op) {
  switch (op.code) {
    case OpCode::kAccept:
      return TryAccept(op);
    case OpCode::kAcceptMultishot:
      return ResultOf(::accept4(op.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    case OpCode::kConnect:
      return TryConnect(op);
    case OpCode::kReceive:
      return ResultOf(::recv(op.fd, op.buffer, op.length, op.flags | MSG_DONTWAIT));
    case OpCode::kSend:
      return ResultOf(::send(op.fd, op.buffer, op.length,
                             (op.flags & ~MSG_WAITALL) | MSG_DONTWAIT | MSG_NOSIGNAL));
    case OpCode::kReceiveMessage:
      return ResultOf(::recvmsg(op.fd, static_cast<msghdr*>(op.buffer),
                                op.flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    case OpCode::kSendMessage:
      return ResultOf(::sendmsg(op.fd, static_cast<msghdr*>(op.buffer),
                                op.flags | MSG_DONTWAIT | MSG_NOSIGNAL));
    case OpCode::kPoll: {
      pollfd one{.fd = op.fd, .events = static_cast<short>(op.flags), .revents = 0};
      const int ready = ::poll(&one, 1, 0);
      if (ready < 0) return -errno;
      return ready == 0 ? -EAGAIN : one.revents;
    }
    case OpCode::kRead:
      if (op.offset == ~uint64_t{0}) return ResultOf(::read(op.fd, op.buffer, op.length));
      return ResultOf(::pread(op.fd, op.buffer, op.length, static_cast<off_t>(op.offset)));
    case OpCode::kWrite:
      return ResultOf(::pwrite(op.fd, op.buffer, op.length, static_cast<off_t>(op.offset)));
    case OpCode::kFsync:
      return ResultOf(::fsync(op.fd));
    case OpCode::kFdatasync:
      return ResultOf(::fdatasync(op.fd));
    case OpCode::kOpenAt:
      return ResultOf(::syscall(SYS_openat2, op.fd, op.path, op.how, sizeof(open_how)));
    case OpCode::kRenameAt:
      return ResultOf(
          ::renameat2(op.fd, op.path, op.new_fd, op.new_path, static_cast<unsigned>(op.flags)));
    case OpCode::kLinkAt:
      return ResultOf(::linkat(op.fd, op.path, op.new_fd, op.new_path, op.flags));
    case OpCode::kUnlinkAt:
      return ResultOf(::unlinkat(op.fd, op.path, op.flags));
    case OpCode::kReceiveMultishot:
    case OpCode::kWait:
      break;
  }
  CheckFailed(__FILE__, __LINE__, "an operation epoll does not know");
}

bool EpollBackend::Start(Operation& op, int* result) {
  CHECK(op.code != OpCode::kReceiveMultishot || pool_.count() > 0);
  bool may_be_ready = false;
  if (IsMultishot(op)) {
    // What arrived before is no edge to come: look once in the next Wait.
    if (const int error = Watch(op, may_be_ready); error < 0) {
      endings_.push_back({&op, error});  // no memory for one more watch
      ++pending_;
    } else if (may_be_ready) {
      retries_.push_back(&op);
    }
    return false;
  }
  *result = Try(op);
  if (*result != -EAGAIN || DirectionOf(op) == Direction::kNone) return true;
  if (const int error = Watch(op, may_be_ready); error < 0) {
    *result = error;
    return true;
  }
  // Not ready just now, so the next edge is still to come: it waits in the kernel's list even if it
  // came since.
  return false;
}

void EpollBackend::Cancel(Operation& op) {
  Operation*& slot = SlotOf(op);
  if (slot != &op) return;  // its completion is already under way
  slot = nullptr;
  std::erase(retries_, &op);
  endings_.push_back({&op, -ECANCELED});
}

void EpollBackend::Close(int fd) {
  if (fd >= 0 && static_cast<size_t>(fd) < watched_.size()) {
    watched_[static_cast<size_t>(fd)] = Watched{};
  }
  ::close(fd);
}

void EpollBackend::Forget(int fd) {
  Watched& watched = At(fd);
  CHECK(watched.reader == nullptr && watched.writer == nullptr);
  // The kernel drops a closed descriptor from the set by itself; our note of it would stay.
  if (watched.registered) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  watched = Watched{};
}

void EpollBackend::Complete(Operation& op, int result, uint32_t buffer_id, bool more) {
  if (!more) {
    SlotOf(op) = nullptr;
    std::erase(retries_, &op);
    op.started = false;
    --pending_;
  }
  op.OnCompletion(result, buffer_id, more);
}

void EpollBackend::AttemptMultishot(Operation& op) {
  for (int round = 0; round < kMultishotPerTurn; ++round) {
    int result;
    uint32_t buffer_id = 0;
    if (op.code == OpCode::kReceiveMultishot) {
      if (free_buffers_.empty()) {
        Complete(op, -ENOBUFS, 0, false);
        return;
      }
      buffer_id = free_buffers_.back();
      result = ResultOf(::recv(op.fd, pool_.At(buffer_id), pool_.buffer_octets(), MSG_DONTWAIT));
      if (result > 0) free_buffers_.pop_back();
    } else {
      result = Try(op);
    }
    if (result == -EAGAIN) return;
    const bool more = op.code == OpCode::kReceiveMultishot ? result > 0 : result >= 0;
    Complete(op, result, buffer_id, more);
    if (!more) return;
    if (SlotOf(op) != &op) return;  // cancelled by what it delivered
  }
  if (std::find(retries_.begin(), retries_.end(), &op) == retries_.end()) retries_.push_back(&op);
}

void EpollBackend::Attempt(Operation& op) {
  if (IsMultishot(op)) {
    AttemptMultishot(op);
    return;
  }
  const int result = Try(op);
  if (result != -EAGAIN) Complete(op, result, 0, false);
}

absl::Status EpollBackend::Wait(int64_t timeout_ns) {
  if (!retries_.empty() || !endings_.empty()) timeout_ns = 0;
  ++kernel_entries_;
  std::array<epoll_event, 256> events;
  const int timeout_ms =
      timeout_ns < 0
          ? -1
          : static_cast<int>(std::min<int64_t>((timeout_ns + 999'999) / 1'000'000, 3'600'000));
  const int ready = ::epoll_pwait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                  timeout_ms, nullptr);
  if (ready < 0 && errno != EINTR) return ErrnoStatus(errno, "epoll_wait");

  const std::vector<Operation*> retries = std::exchange(retries_, {});
  for (Operation* op : retries) {
    // Only those still parked: one may have ended through another of this round.
    if (!IsEnding(*op)) {
      Watched& watched = At(op->fd);
      if (watched.reader == op || watched.writer == op) Attempt(*op);
    }
  }
  const std::vector<Ending> endings = std::exchange(endings_, {});
  for (const Ending& ending : endings) {
    ending.operation->started = false;
    --pending_;
    ending.operation->OnCompletion(ending.result, 0, false);
  }
  for (int i = 0; i < ready; ++i) {
    const int fd = events[static_cast<size_t>(i)].data.fd;
    const uint32_t what = events[static_cast<size_t>(i)].events;
    if (Concerns(At(fd).reader, what, EPOLLIN | EPOLLRDHUP)) Attempt(*At(fd).reader);
    if (Concerns(At(fd).writer, what, EPOLLOUT)) Attempt(*At(fd).writer);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> MakeEpollBackend(const LoopOptions& options) {
  auto backend = std::make_unique<EpollBackend>();
  RETURN_IF_ERROR(backend->SetUp(options));
  return backend;
}

}  // namespace postern::io
