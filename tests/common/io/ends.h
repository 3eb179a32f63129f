// tests/common/io/ends.h — sockets to test with.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <string>
#include <utility>

#include "common/base/ip.h"
#include "common/base/unique_fd.h"
#include "common/io/socket.h"

namespace postern::io {

// A connected Unix pair; the second end is for system calls of the test and does not block.
inline std::pair<UniqueFd, UniqueFd> Ends() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// A TCP listener on a free port of loopback.
inline UniqueFd Listening(int backlog = 128) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(fd.get(), backlog), 0);
  return fd;
}

// Connected to `listener` as far as the kernel is concerned: nobody need accept. Blocks.
inline UniqueFd ConnectedTo(int listener) {
  const absl::StatusOr<SocketAddress> address = LocalAddress(listener);
  EXPECT_TRUE(address.ok());
  sockaddr_storage storage;
  const socklen_t length = address->ToSockaddr(storage);
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  return fd;
}

// Sends until the kernel takes no more; returns how much it took.
inline size_t Flood(int fd, size_t at_most) {
  const std::string bytes(65536, 'x');
  size_t sent = 0;
  while (sent < at_most) {
    const ssize_t taken = ::send(fd, bytes.data(), std::min(bytes.size(), at_most - sent),
                                 MSG_DONTWAIT | MSG_NOSIGNAL);
    if (taken <= 0) break;
    sent += static_cast<size_t>(taken);
  }
  return sent;
}

inline size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

}  // namespace postern::io
