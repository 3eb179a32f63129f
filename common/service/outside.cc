#include "common/service/outside.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "common/base/unique_fd.h"
#include "common/ipc/codec.h"
#include "common/ipc/frame.h"
#include "common/ipc/protocol/control.h"

namespace postern::service {
namespace {

// Ours by its number; the message opens and closes it.
constexpr uint32_t kConversation = 2;

absl::Status SendWithDescriptor(int control, std::string bytes, const UniqueFd& descriptor) {
  iovec piece{bytes.data(), bytes.size()};
  alignas(cmsghdr) char buffer[CMSG_SPACE(sizeof(int))]{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = buffer;
  message.msg_controllen = sizeof buffer;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = descriptor.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ssize_t sent;
  do {
    sent = ::sendmsg(control, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return ErrnoStatus(errno, "tell master");
  // Some octets to a socket that nobody wrote to before: they fit.
  if (static_cast<size_t>(sent) != bytes.size()) return Internal("tell master: cut short");
  return absl::OkStatus();
}

template <class M>
absl::Status Ask(int control, const M& question) {
  std::string payload;
  if (!ipc::Encode(question, payload)) return InvalidArgument("tell master: out of bounds");
  std::string bytes;
  ipc::AppendFrameHeader(bytes, {.payload_octets = static_cast<uint32_t>(payload.size()),
                                 .type = static_cast<uint8_t>(M::kType),
                                 .has_descriptor = true,
                                 .id = kConversation});
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return ErrnoStatus(errno, "pipe");
  const UniqueFd answer(ends[0]);
  UniqueFd theirs(ends[1]);
  RETURN_IF_ERROR(SendWithDescriptor(control, bytes + payload, theirs));
  theirs.reset();
  std::string reason(protocol::control::kMaxOutsideAnswer, '\0');
  ssize_t got;
  do {
    got = ::read(answer.get(), reason.data(), reason.size());
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return Unavailable("master gives no answer");
  reason.resize(static_cast<size_t>(got));
  if (reason == protocol::control::kOutsideDone) return absl::OkStatus();
  return FailedPrecondition(reason);
}

}  // namespace

absl::Status AskToMapIds(int control, pid_t pid) {
  const protocol::control::MapIds question{.pid = static_cast<uint32_t>(pid)};
  return Ask(control, question);
}

absl::Status TellMoved(int control, pid_t pid) {
  const protocol::control::Moved moved{.pid = static_cast<uint32_t>(pid)};
  return Ask(control, moved);
}

}  // namespace postern::service
