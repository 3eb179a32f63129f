#include "common/io/uring_backend.h"

#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/base/check.h"
#include "common/io/buffer_pool.h"
#include "common/io/clock.h"
#include "common/io/loop.h"

namespace postern::io {
namespace {

constexpr int kBufferGroup = 0;

// A send up to this size is done when it is submitted, save on a full socket: its completion is no
// news to wake up for. Room for a small message on its way to qmgr.
constexpr uint32_t kPromptOctets = 16'384;
// How long it may go unseen with nothing else happening, in case that it was not.
constexpr int64_t kPromptPatienceNs = 5'000'000;

// What to wait for when a descriptor that does not block says "not now". The kernel waits by itself
// on newer versions; older ones hand the error to us. 0: not an operation that waits so.
unsigned ReadinessFor(OpCode code) {
  switch (code) {
    case OpCode::kAccept:
    case OpCode::kAcceptMultishot:
    case OpCode::kReceive:
    case OpCode::kReceiveMultishot:
    case OpCode::kReceiveMessage:
      return POLLIN;
    case OpCode::kConnect:
    case OpCode::kSend:
    case OpCode::kSendMessage:
      return POLLOUT;
    default:
      return 0;
  }
}

bool NotNow(const Operation& op, int result) {
  if (op.code == OpCode::kConnect && (result == -EINPROGRESS || result == -EALREADY)) return true;
  return result == -EAGAIN && ReadinessFor(op.code) != 0;
}

void PrepareAccept(io_uring_sqe* sqe, const Operation& op) {
  auto* peer = static_cast<AcceptedPeer*>(op.buffer);
  if (peer == nullptr) {
    io_uring_prep_accept(sqe, op.fd, nullptr, nullptr, SOCK_CLOEXEC);
    return;
  }
  peer->length = sizeof peer->address;
  io_uring_prep_accept(sqe, op.fd, reinterpret_cast<sockaddr*>(&peer->address), &peer->length,
                       SOCK_CLOEXEC);
}

class UringBackend final : public Backend {
 public:
  UringBackend() = default;
  ~UringBackend() override;

  absl::Status SetUp(const LoopOptions& options);

  std::string_view name() const override { return "uring"; }
  bool Start(Operation& operation, int* result) override;
  void Cancel(Operation& operation) override;
  void Close(int fd) override;
  size_t accepts_at_once() const override { return SIZE_MAX; }
  bool brief() const override { return prompt_ > 0; }
  absl::Status Wait(int64_t timeout_ns) override;
  char* BufferAt(uint32_t id) override { return pool_.At(id); }
  void ReturnBuffer(uint32_t id) override;
  size_t pending() const override { return pending_; }
  uint64_t kernel_entries() const override { return kernel_entries_; }
  int registered_ring_index() const override { return confined_ ? ring_.enter_ring_fd : -1; }
  int64_t NowNanoseconds() const override { return MonotonicNanoseconds(); }
  int64_t WallNanoseconds() const override { return RealtimeNanoseconds(); }

 private:
  absl::Status MakeRing(const LoopOptions& options);
  absl::Status RegisterBuffers(const LoopOptions& options);
  absl::Status CheckRestricted();
  void MakeRoom(unsigned entries);
  io_uring_sqe* NextSqe();
  void Submit(Operation& op);
  void WaitUntilReady(Operation& op);
  void Reap();
  void Take(Operation& op, int result, uint32_t flags);

  io_uring ring_{};
  bool made_ = false;
  bool confined_ = false;
  bool send_by_writing_ = false;
  BufferPool pool_;
  io_uring_buf_ring* buffer_ring_ = nullptr;
  size_t buffer_ring_octets_ = 0;
  size_t pending_ = 0;
  uint64_t kernel_entries_ = 0;
  unsigned prompt_ =
      0;  // submitted since the last wait, and done by the next one as good as surely
};

UringBackend::~UringBackend() {
  if (!made_) return;
  if (confined_) {
    // The descriptor is closed and unregistering is forbidden: the kernel takes the ring back when
    // the process ends, which is when a confined loop ends.
    ring_.ring_fd = -1;
    return;
  }
  io_uring_queue_exit(&ring_);
  if (buffer_ring_ != nullptr) ::munmap(buffer_ring_, buffer_ring_octets_);
}

absl::Status UringBackend::MakeRing(const LoopOptions& options) {
  // Newer kernels first: completions are then worked off only when we ask, by the one thread we
  // have.
  const unsigned tries[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                            IORING_SETUP_COOP_TASKRUN, 0};
  int error = 0;
  for (const unsigned flags : tries) {
    io_uring_params params{};
    params.flags = flags | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = options.ring_entries * 8;
    error = -io_uring_queue_init_params(options.ring_entries, &ring_, &params);
    if (error == 0) {
      if ((params.features & IORING_FEAT_EXT_ARG) == 0 ||
          (params.features & IORING_FEAT_NODROP) == 0) {
        io_uring_queue_exit(&ring_);
        return FailedPrecondition("io_uring: the kernel is too old (no EXT_ARG)");
      }
      made_ = true;
      return absl::OkStatus();
    }
    if (error != EINVAL) break;
  }
  const absl::Status status = ErrnoStatus(error, "io_uring_setup");
  return FailedPrecondition(
      Message(status),
      error == EPERM ? " (see kernel.io_uring_disabled and container policy)" : "");
}

absl::Status UringBackend::RegisterBuffers(const LoopOptions& options) {
  if (options.buffer_count == 0) return absl::OkStatus();
  RETURN_IF_ERROR(pool_.Map(options.buffer_octets, options.buffer_count));
  buffer_ring_octets_ = options.buffer_count * sizeof(io_uring_buf);
  void* memory = ::mmap(nullptr, buffer_ring_octets_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return ErrnoStatus(errno, "map the ring of receive buffers");
  buffer_ring_ = static_cast<io_uring_buf_ring*>(memory);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uint64_t>(buffer_ring_);
  registration.ring_entries = options.buffer_count;
  registration.bgid = kBufferGroup;
  const int error = -io_uring_register_buf_ring(&ring_, &registration, 0);
  if (error == EINVAL) return FailedPrecondition("io_uring: no provided buffer rings (Linux 5.19)");
  if (error != 0) return ErrnoStatus(error, "io_uring: register receive buffers");
  io_uring_buf_ring_init(buffer_ring_);
  for (uint32_t id = 0; id < options.buffer_count; ++id) ReturnBuffer(id);
  return absl::OkStatus();
}

absl::Status UringBackend::SetUp(const LoopOptions& options) {
  send_by_writing_ = options.send_by_writing;
  RETURN_IF_ERROR(MakeRing(options));
  RETURN_IF_ERROR(RegisterBuffers(options));
  if (options.restrict_ring) RETURN_IF_ERROR(options.restrict_ring(ring_.ring_fd));
  const int raw_fd = ring_.ring_fd;
  // Must precede enabling: afterwards registering is forbidden. Two is not an error but "one
  // registered".
  if (const int registered = io_uring_register_ring_fd(&ring_); registered < 0) {
    return ErrnoStatus(-registered, "io_uring: register the ring's descriptor");
  }
  if (::syscall(__NR_io_uring_register, raw_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) < 0) {
    return ErrnoStatus(errno, "io_uring: enable the ring");
  }
  if (options.restrict_ring) {
    confined_ = true;
    ::close(raw_fd);
    if (options.ring != nullptr) *options.ring = &ring_;
    return options.ring_left_open ? absl::OkStatus() : CheckRestricted();
  }
  return absl::OkStatus();
}

// A list that the kernel refused leaves a ring which is enabled as if nothing had been asked. A NOP
// is in no list, and harmless: only a ring that refuses it goes to work.
absl::Status UringBackend::CheckRestricted() {
  io_uring_prep_nop(io_uring_get_sqe(&ring_));
  io_uring_cqe* answer = nullptr;
  if (const int submitted = io_uring_submit_and_wait(&ring_, 1); submitted < 0)
    return ErrnoStatus(-submitted, "ring: ask for an operation outside the list");
  if (const int error = -io_uring_peek_cqe(&ring_, &answer); error != 0)
    return ErrnoStatus(error, "ring: no answer to an operation outside the list");
  const int result = answer->res;
  io_uring_cqe_seen(&ring_, answer);
  if (result != -EACCES)
    return Internal("ring: the restrictions are not in force: NOP gave ", result);
  return absl::OkStatus();
}

void UringBackend::MakeRoom(unsigned entries) {
  for (int tries = 0; tries < 1000; ++tries) {
    if (io_uring_sq_space_left(&ring_) >= entries) return;
    io_uring_submit(&ring_);  // full: what gathered so far goes in early
    ++kernel_entries_;
  }
  CheckFailed(__FILE__, __LINE__, "the submission queue does not drain");
}

io_uring_sqe* UringBackend::NextSqe() {
  MakeRoom(1);
  return io_uring_get_sqe(&ring_);
}

bool UringBackend::Start(Operation& op, int*) {
  CHECK(op.code != OpCode::kReceiveMultishot || pool_.count() > 0);
  op.polling = false;
  ++pending_;
  // A chain ends where a submission ends: a sync on the other side of that would not wait for its
  // write.
  if (op.link_next) MakeRoom(2);
  Submit(op);
  return false;
}

void UringBackend::Submit(Operation& op) {
  io_uring_sqe* sqe = NextSqe();
  switch (op.code) {
    case OpCode::kAccept:
      PrepareAccept(sqe, op);
      break;
    case OpCode::kAcceptMultishot:
      io_uring_prep_multishot_accept(sqe, op.fd, nullptr, nullptr, SOCK_CLOEXEC);
      break;
    case OpCode::kConnect:
      io_uring_prep_connect(sqe, op.fd, static_cast<sockaddr*>(op.buffer), op.length);
      break;
    case OpCode::kReceive:
      io_uring_prep_recv(sqe, op.fd, op.buffer, op.length, op.flags);
      break;
    case OpCode::kReceiveMultishot:
      io_uring_prep_recv_multishot(sqe, op.fd, nullptr, 0, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = kBufferGroup;
      break;
    case OpCode::kSend:
      if (send_by_writing_) {
        io_uring_prep_write(sqe, op.fd, op.buffer, op.length, 0);
      } else {
        io_uring_prep_send(sqe, op.fd, op.buffer, op.length, op.flags | MSG_NOSIGNAL);
      }
      if (op.length <= kPromptOctets) ++prompt_;
      break;
    case OpCode::kReceiveMessage:
      io_uring_prep_recvmsg(sqe, op.fd, static_cast<msghdr*>(op.buffer),
                            op.flags | MSG_CMSG_CLOEXEC);
      break;
    case OpCode::kSendMessage:
      io_uring_prep_sendmsg(sqe, op.fd, static_cast<msghdr*>(op.buffer), op.flags | MSG_NOSIGNAL);
      break;
    case OpCode::kPoll:
      io_uring_prep_poll_add(sqe, op.fd, static_cast<unsigned>(op.flags));
      break;
    case OpCode::kRead:
      io_uring_prep_read(sqe, op.fd, op.buffer, op.length, op.offset);
      break;
    case OpCode::kWrite:
      io_uring_prep_write(sqe, op.fd, op.buffer, op.length, op.offset);
      break;
    case OpCode::kFsync:
      io_uring_prep_fsync(sqe, op.fd, 0);
      break;
    case OpCode::kFdatasync:
      io_uring_prep_fsync(sqe, op.fd, IORING_FSYNC_DATASYNC);
      break;
    case OpCode::kOpenAt:
      io_uring_prep_openat2(sqe, op.fd, op.path, const_cast<open_how*>(op.how));
      break;
    case OpCode::kRenameAt:
      io_uring_prep_renameat(sqe, op.fd, op.path, op.new_fd, op.new_path,
                             static_cast<unsigned>(op.flags));
      break;
    case OpCode::kLinkAt:
      io_uring_prep_linkat(sqe, op.fd, op.path, op.new_fd, op.new_path, op.flags);
      break;
    case OpCode::kUnlinkAt:
      io_uring_prep_unlinkat(sqe, op.fd, op.path, op.flags);
      break;
    case OpCode::kWait:
      CheckFailed(__FILE__, __LINE__, "a wait is nothing for the kernel");
  }
  if (op.link_next) sqe->flags |= IOSQE_IO_LINK;
  io_uring_sqe_set_data(sqe, &op);
}

void UringBackend::WaitUntilReady(Operation& op) {
  op.polling = true;
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_poll_add(sqe, op.fd, ReadinessFor(op.code));
  io_uring_sqe_set_data(sqe, &op);
}

void UringBackend::Cancel(Operation& operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_cancel64(sqe, reinterpret_cast<uint64_t>(&operation), 0);
  io_uring_sqe_set_data(sqe, nullptr);
  prompt_ += 2;  // its own completion, and that of what it ends
}

void UringBackend::Close(int fd) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_close(sqe, fd);
  io_uring_sqe_set_data(sqe, nullptr);
  ++prompt_;
}

void UringBackend::ReturnBuffer(uint32_t id) {
  io_uring_buf_ring_add(buffer_ring_, pool_.At(id), pool_.buffer_octets(),
                        static_cast<unsigned short>(id), io_uring_buf_ring_mask(pool_.count()), 0);
  io_uring_buf_ring_advance(buffer_ring_, 1);
}

void UringBackend::Reap() {
  unsigned head;
  unsigned seen = 0;
  io_uring_cqe* cqe;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    ++seen;
    auto* operation = static_cast<Operation*>(io_uring_cqe_get_data(cqe));
    if (operation != nullptr) Take(*operation, cqe->res, cqe->flags);
  }
  io_uring_cq_advance(&ring_, seen);
}

void UringBackend::Take(Operation& op, int result, uint32_t flags) {
  const bool more = (flags & IORING_CQE_F_MORE) != 0;
  const bool ready = std::exchange(op.polling, false) && result >= 0;
  if (!more && (ready || NotNow(op, result))) {
    if (!op.cancel_sent) {
      if (ready) {
        Submit(op);
      } else {
        WaitUntilReady(op);
      }
      return;
    }
    result = -ECANCELED;  // the request to cancel found nothing, being between the two
  }
  if (!more) {
    op.started = false;
    --pending_;
  }
  op.OnCompletion(result, flags >> IORING_CQE_BUFFER_SHIFT, more);
}

// Waits for one completion more than those that the submission itself brings; otherwise every reply
// would cost two turns, one that only learns that it left.
absl::Status UringBackend::Wait(int64_t timeout_ns) {
  const unsigned prompt = std::exchange(prompt_, 0);
  if (prompt > 0 && (timeout_ns < 0 || timeout_ns > kPromptPatienceNs))
    timeout_ns = kPromptPatienceNs;
  __kernel_timespec limit{};
  limit.tv_sec = timeout_ns / 1'000'000'000;
  limit.tv_nsec = timeout_ns % 1'000'000'000;
  io_uring_cqe* first = nullptr;
  ++kernel_entries_;
  const int result = io_uring_submit_and_wait_timeout(&ring_, &first, 1 + prompt,
                                                      timeout_ns < 0 ? nullptr : &limit, nullptr);
  // Busy or short of memory: what completed is taken off, and the rest goes in with the next turn.
  if (result < 0 && result != -ETIME && result != -EINTR && result != -EBUSY && result != -EAGAIN) {
    return ErrnoStatus(-result, "io_uring_enter");
  }
  Reap();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> MakeUringBackend(const LoopOptions& options) {
  auto backend = std::make_unique<UringBackend>();
  RETURN_IF_ERROR(backend->SetUp(options));
  return backend;
}

}  // namespace postern::io
