#include "tools/postern/admin_client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::tool {

namespace {

constexpr time_t kAnswerSeconds = 60;

absl::Status Gone() {
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return Unavailable("the server did not answer for ", kAnswerSeconds, " seconds");
  return Unavailable("the server closed the connection: it talks to root and to its own user only");
}

std::string_view Advice(int error) {
  switch (error) {
    case ENOENT:
    case ECONNREFUSED:
      return " (does the server run, and is this its configuration? -c FILE names another)";
    case EACCES:
    case EPERM:
      return " (only root and the server's own user may ask)";
    default:
      return "";
  }
}

}  // namespace

absl::StatusOr<AdminClient> AdminClient::Connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return InvalidArgument(path, " is too long for a socket: choose a shorter run_directory");
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return ErrnoStatus(errno, "socket");
  const timeval limit{.tv_sec = kAnswerSeconds, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    const int error = errno;
    return Unavailable("the server cannot be asked at ", path, ": ",
                       std::string_view(std::strerror(error)), Advice(error));
  }
  return AdminClient(std::move(socket));
}

absl::StatusOr<uint32_t> AdminClient::Send(uint8_t type, std::string_view payload) {
  const uint32_t id = next_id_;
  next_id_ += 2;
  std::string frame;
  ipc::AppendFrameHeader(
      frame, {.payload_octets = static_cast<uint32_t>(payload.size()), .type = type, .id = id});
  frame += payload;
  for (std::string_view left = frame; !left.empty();) {
    const ssize_t sent = ::send(socket_.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return Gone();
    left.remove_prefix(static_cast<size_t>(sent));
  }
  return id;
}

absl::Status AdminClient::Read(char* to, size_t octets) {
  while (octets > 0) {
    errno = 0;
    const ssize_t got = ::recv(socket_.get(), to, octets, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Gone();
    to += got;
    octets -= static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint8_t> AdminClient::Receive(uint32_t id, std::string& payload) {
  char head[ipc::kFrameHeaderOctets];
  RETURN_IF_ERROR(Read(head, sizeof head));
  const auto header = ipc::ParseFrameHeader(std::string_view(head, sizeof head),
                                            protocol::kAdmin.max_payload_octets);
  if (!header.has_value()) return DataLoss("answer: ", header.error().reason);
  if (header->id != id || header->has_descriptor) return DataLoss("an answer to another question");
  payload.resize(header->payload_octets);
  RETURN_IF_ERROR(Read(payload.data(), payload.size()));
  return header->type;
}

}  // namespace postern::tool
