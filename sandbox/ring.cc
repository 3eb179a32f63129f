// The ring's own filter.
#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "sandbox/confine.h"
#include "sandbox/constants.h"

namespace postern::sandbox {
namespace {

constexpr unsigned kProbeOperations = 256;

absl::Status CheckKnown(int ring_fd, const std::vector<uint8_t>& operations) {
  std::vector<char> memory(sizeof(io_uring_probe) + kProbeOperations * sizeof(io_uring_probe_op));
  auto* probe = reinterpret_cast<io_uring_probe*>(memory.data());
  if (::syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_PROBE, probe, kProbeOperations) <
      0) {
    return ErrnoStatus(errno, "ring: probe");
  }
  for (const uint8_t operation : operations) {
    if (operation > probe->last_op || (probe->ops[operation].flags & IO_URING_OP_SUPPORTED) == 0) {
      return FailedPrecondition("ring: this kernel does not know operation ", int{operation});
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RestrictRing(int ring_fd, const Profile& profile) {
  std::vector<uint8_t> operations = profile.ring_operations;
  std::sort(operations.begin(), operations.end());
  operations.erase(std::unique(operations.begin(), operations.end()), operations.end());
  // common/io asks each restricted ring for it, and wants to be refused.
  if (!operations.empty() && operations.front() == IORING_OP_NOP)
    return InvalidArgument("ring: NOP must stay outside the list");
  RETURN_IF_ERROR(CheckKnown(ring_fd, operations));
  std::vector<io_uring_restriction> list;
  for (const uint8_t operation : operations) {
    io_uring_restriction& rule = list.emplace_back();
    rule = {};
    rule.opcode = IORING_RESTRICTION_SQE_OP;
    rule.sqe_op = operation;
  }
  // Without this entry every flag is forbidden; with it exactly these are allowed.
  io_uring_restriction& flags = list.emplace_back();
  flags = {};
  flags.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  flags.sqe_flags = profile.ring_sqe_flags;
  // liburing 2.3 declares io_uring_register_restrictions but does not export it.
  if (::syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_RESTRICTIONS, list.data(),
                list.size()) < 0) {
    return ErrnoStatus(errno, "ring: restrict");
  }
  return absl::OkStatus();
}

// Registering is the first thing a restricted ring refuses: nothing of the kind is in the list, so
// a ring that answers anything but EACCES is open. Asked by index, as the descriptor is closed
// already. (That operations are refused is seen by common/io, which alone can submit: it asks for a
// NOP as soon as the ring is enabled.)
absl::Status VerifyRingRestricted(int registered_ring_index) {
  std::vector<char> memory(sizeof(io_uring_probe) + kProbeOperations * sizeof(io_uring_probe_op));
  const long result =
      ::syscall(SYS_io_uring_register, registered_ring_index,
                IORING_REGISTER_PROBE | kUseRegisteredRing, memory.data(), kProbeOperations);
  if (result < 0 && errno == EACCES) return absl::OkStatus();
  // Before Linux 6.3 a ring cannot be named by index here; the NOP was refused, and that must do.
  if (result < 0 && (errno == EINVAL || errno == EBADF || errno == EOPNOTSUPP))
    return absl::OkStatus();
  return Internal("ring: the restrictions are not in force");
}

}  // namespace postern::sandbox
