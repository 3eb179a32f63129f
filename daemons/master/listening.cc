#include "daemons/master/listening.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/time/clock.h"
#include "daemons/master/child.h"

namespace postern::master {

using protocol::control::ListenerKind;

namespace {

constexpr int kBacklog = 1024;
constexpr mode_t kSubmissionMode = 0666;  // the kernel tells who speaks
constexpr absl::Duration kBindPause = absl::Milliseconds(50);

absl::StatusOr<UniqueFd> ListenTcp(const SocketAddress& address) {
  sockaddr_storage storage;
  const socklen_t length = address.ToSockaddr(storage);
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return ErrnoStatus(errno, "listen on ", address.ToString(), ": socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Accepted connections inherit it: replies leave at once, and smtpd needs no call for that.
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (address.ip.is_v6()) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) < 0)
    return ErrnoStatus(errno, "listen on ", address.ToString());
  if (::listen(fd.get(), kBacklog) < 0) return ErrnoStatus(errno, "listen on ", address.ToString());
  return fd;
}

absl::StatusOr<UniqueFd> ListenTcpPatiently(const SocketAddress& address, absl::Duration patient) {
  const absl::Time until = absl::Now() + patient;
  for (;;) {
    absl::StatusOr<UniqueFd> fd = ListenTcp(address);
    if (fd.ok() || absl::Now() >= until) return fd;
    absl::SleepFor(kBindPause);
  }
}

// Whether a connection would find somebody. A full backlog is an answer too.
bool SomebodyListens(const sockaddr_un& address) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno == EAGAIN;
}

std::string JoinNames(const std::vector<OpenListener>& listeners, std::string_view between) {
  std::string names;
  for (const OpenListener& listener : listeners)
    names.append(names.empty() ? "" : between).append(listener.name);
  return names;
}

}  // namespace

absl::StatusOr<UniqueFd> ListenUnix(const std::string& path, unsigned mode, Present present) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return InvalidArgument("listen on ", path,
                           ": the path is longer than 107 octets; choose a shorter root");
  std::memcpy(address.sun_path, path.data(), path.size());
  struct stat about;
  if (::lstat(path.c_str(), &about) == 0) {
    if (!S_ISSOCK(about.st_mode))
      return FailedPrecondition("listen on ", path, ": something else is there");
    if (present == Present::kRefuse && SomebodyListens(address))
      return FailedPrecondition("listen on ", path, ": another process listens there");
    ::unlink(path.c_str());
  }
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return ErrnoStatus(errno, "listen on ", path, ": socket");
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    return ErrnoStatus(errno, "listen on ", path);
  if (::chmod(path.c_str(), mode) < 0) return ErrnoStatus(errno, "listen on ", path, ": chmod");
  if (::listen(fd.get(), kBacklog) < 0) return ErrnoStatus(errno, "listen on ", path);
  return fd;
}

absl::Status Listeners::CheckSpare() const {
  if (spare_.empty()) return absl::OkStatus();
  return InvalidArgument("socket activation: the service manager passed ", JoinNames(spare_, ", "),
                         ", which neither smtp.listen nor smtp.socket names");
}

bool Listeners::Has(std::string_view name) const {
  return std::ranges::any_of(listeners_, [&](const auto& one) { return one.name == name; });
}

absl::StatusOr<OpenListener> Listeners::Open(OpenListener wanted, const SocketAddress* address,
                                             absl::Duration patient) {
  for (OpenListener& spare : spare_) {
    if (spare.kind != wanted.kind || spare.name != wanted.name) continue;
    // The spare one is kept until Apply: the change may still be refused.
    wanted.fd = Duplicate(spare.fd);
    wanted.passed = true;
    if (!wanted.fd) return ErrnoStatus(errno, "take ", wanted.name, " over");
    return wanted;
  }
  if (address != nullptr) {
    ASSIGN_OR_RETURN(wanted.fd, ListenTcpPatiently(*address, patient));
  } else {
    const Present present = patient > absl::ZeroDuration() ? Present::kReplace : Present::kRefuse;
    ASSIGN_OR_RETURN(wanted.fd, ListenUnix(wanted.name, kSubmissionMode, present));
  }
  return wanted;
}

absl::StatusOr<Listeners::Change> Listeners::Prepare(const config::Smtp& smtp,
                                                     absl::Duration patient) {
  Change change;
  std::vector<std::string> wanted;
  for (const SocketAddress& address : smtp.listen) {
    const std::string& name = wanted.emplace_back(address.ToString());
    if (Has(name)) continue;
    ASSIGN_OR_RETURN(
        OpenListener opened,
        Open({.kind = ListenerKind::kSmtp, .name = name, .fd = {}}, &address, patient));
    change.added.push_back(std::move(opened));
  }
  if (!smtp.socket.empty()) wanted.push_back(smtp.socket);
  if (!smtp.socket.empty() && !Has(smtp.socket)) {
    ASSIGN_OR_RETURN(OpenListener opened,
                     Open({.kind = ListenerKind::kSubmissionSocket, .name = smtp.socket, .fd = {}},
                          nullptr, patient));
    change.added.push_back(std::move(opened));
  }
  for (const OpenListener& listener : listeners_) {
    if (std::ranges::find(wanted, listener.name) == wanted.end())
      change.removed.push_back(listener.name);
  }
  return change;
}

void Listeners::Apply(Change change) {
  for (const std::string& name : change.removed) {
    const auto at =
        std::ranges::find_if(listeners_, [&](const auto& one) { return one.name == name; });
    if (at == listeners_.end()) continue;
    if (at->passed) {
      spare_.push_back(std::move(*at));
    } else if (at->kind == ListenerKind::kSubmissionSocket) {
      ::unlink(name.c_str());
    }
    listeners_.erase(at);
  }
  for (OpenListener& added : change.added) {
    std::erase_if(spare_, [&](const auto& spare) { return spare.name == added.name; });
    listeners_.push_back(std::move(added));
  }
}

std::string Listeners::Names() const { return JoinNames(listeners_, " "); }

void Listeners::Close() {
  for (const OpenListener& listener : listeners_) {
    if (!listener.passed && listener.kind == ListenerKind::kSubmissionSocket)
      ::unlink(listener.name.c_str());
  }
  listeners_.clear();
  spare_.clear();
}

}  // namespace postern::master
