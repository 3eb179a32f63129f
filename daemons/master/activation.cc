// Socket activation: what the service manager opened for us, by sd_listen_fds(3).
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <optional>

#include "common/base/escape.h"
#include "daemons/master/listening.h"

namespace postern::master {

using protocol::control::ListenerKind;

namespace {

constexpr int kFirstPassedFd = 3;
constexpr int kMaxPassed = 256;

std::optional<int> Number(const char* text) {
  int number = 0;
  const char* end = text + std::string_view(text).size();
  const auto [at, error] = std::from_chars(text, end, number);
  if (error != std::errc() || at != end) return std::nullopt;
  return number;
}

int OptionOf(int fd, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
}

// Where it is bound, as smtp.listen or smtp.socket would write it.
absl::StatusOr<OpenListener> Describe(UniqueFd fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (OptionOf(fd.get(), SO_TYPE) != SOCK_STREAM || OptionOf(fd.get(), SO_ACCEPTCONN) != 1 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length) < 0) {
    return InvalidArgument("it is no stream socket that listens");
  }
  OpenListener listener{
      .kind = ListenerKind::kSmtp, .name = {}, .fd = std::move(fd), .passed = true};
  if (storage.ss_family == AF_INET || storage.ss_family == AF_INET6) {
    listener.name = SocketAddress::From(storage).ToString();
    return listener;
  }
  const auto& address = reinterpret_cast<const sockaddr_un&>(storage);
  if (storage.ss_family != AF_UNIX || length <= offsetof(sockaddr_un, sun_path) ||
      address.sun_path[0] != '/') {
    return InvalidArgument("it is bound neither to an IP address nor to a path");
  }
  listener.kind = ListenerKind::kSubmissionSocket;
  listener.name = address.sun_path;
  return listener;
}

// The name of the n-th in LISTEN_FDNAMES, or what systemd calls one without a name.
std::string NameOf(std::string_view names, int n) {
  for (; n > 0 && !names.empty(); --n)
    names.remove_prefix(std::min(names.find(':'), names.size() - 1) + 1);
  const std::string_view name = names.substr(0, names.find(':'));
  return name.empty() ? "unknown" : Escaped(name);
}

absl::StatusOr<std::vector<OpenListener>> Take(int count, std::string_view names) {
  std::vector<OpenListener> passed;
  for (int i = 0; i < count; ++i) {
    UniqueFd fd(kFirstPassedFd + i);
    const int number = fd.get();
    ::fcntl(number, F_SETFD, FD_CLOEXEC);
    absl::StatusOr<OpenListener> listener = Describe(std::move(fd));
    if (!listener.ok()) {
      return InvalidArgument("socket activation: descriptor ", number, " (", NameOf(names, i),
                             "): ", Message(listener.status()));
    }
    ::fcntl(number, F_SETFL, ::fcntl(number, F_GETFL) | O_NONBLOCK);
    const int on = 1;
    if (listener->kind == ListenerKind::kSmtp)
      ::setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    passed.push_back(*std::move(listener));
  }
  return passed;
}

}  // namespace

absl::StatusOr<std::vector<OpenListener>> TakePassedSockets() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  const char* names = std::getenv("LISTEN_FDNAMES");
  absl::StatusOr<std::vector<OpenListener>> passed = std::vector<OpenListener>();
  if (pid != nullptr && count != nullptr && Number(pid) == ::getpid()) {
    const std::optional<int> number = Number(count);
    if (!number.has_value() || *number < 0 || *number > kMaxPassed) {
      passed = InvalidArgument("socket activation: LISTEN_FDS is ", Escaped(count),
                               ", not a number up to ", kMaxPassed);
    } else {
      passed = Take(*number, names == nullptr ? "" : names);
    }
  }
  ::unsetenv("LISTEN_PID");
  ::unsetenv("LISTEN_FDS");
  ::unsetenv("LISTEN_FDNAMES");
  return passed;
}

}  // namespace postern::master
