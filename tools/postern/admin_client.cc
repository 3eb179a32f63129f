#include "tools/postern/admin_client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::tool {

absl::StatusOr<AdminClient> AdminClient::Connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return InvalidArgument(path, " is too long for a socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return ErrnoStatus(errno, "socket");
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    return Unavailable("the server cannot be asked at ", path, ": ",
                       std::string_view(std::strerror(errno)));
  }
  return AdminClient(std::move(socket));
}

absl::Status AdminClient::Send(uint8_t type, std::string_view payload) {
  std::string frame;
  ipc::AppendFrameHeader(
      frame,
      {.payload_octets = static_cast<uint32_t>(payload.size()), .type = type, .id = next_id_});
  next_id_ += 2;
  frame += payload;
  for (std::string_view left = frame; !left.empty();) {
    const ssize_t sent = ::send(socket_.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0)
      return Unavailable(
          "the server closed the connection: it talks to root and to its own user only");
    left.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

absl::StatusOr<ipc::FrameHeader> AdminClient::Receive(std::string& payload) {
  const auto read = [this](char* to, size_t octets) -> absl::Status {
    while (octets > 0) {
      const ssize_t got = ::recv(socket_.get(), to, octets, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0)
        return Unavailable(
            "the server closed the connection: it talks to root and to its own user only");
      to += got;
      octets -= static_cast<size_t>(got);
    }
    return absl::OkStatus();
  };
  char head[ipc::kFrameHeaderOctets];
  RETURN_IF_ERROR(read(head, sizeof head));
  const auto header = ipc::ParseFrameHeader(std::string_view(head, sizeof head),
                                            protocol::kAdmin.max_payload_octets);
  if (!header.has_value()) return DataLoss("answer: ", header.error().reason);
  payload.resize(header->payload_octets);
  RETURN_IF_ERROR(read(payload.data(), payload.size()));
  return *header;
}

}  // namespace postern::tool
