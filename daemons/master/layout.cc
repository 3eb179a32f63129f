#include "daemons/master/layout.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace postern::master {
namespace {

constexpr int kBacklog = 1024;
constexpr int kFirstPassedFd = 3;  // sd_listen_fds(3)

absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (::mkdir(path.c_str(), mode) < 0 && errno != EEXIST)
    return ErrnoStatus(errno, "make directory ", path);
  return absl::OkStatus();
}

// Given to `owner`, unless it is his already. Never through a link.
absl::Status GiveTo(const std::string& path, const Identity& owner) {
  if (!owner.drop) return absl::OkStatus();
  struct stat about;
  if (::lstat(path.c_str(), &about) < 0) return ErrnoStatus(errno, "stat ", path);
  if (S_ISLNK(about.st_mode))
    return FailedPrecondition(path, " is a link; a directory or file of ours must not be one");
  if (about.st_uid == owner.uid && about.st_gid == owner.gid) return absl::OkStatus();
  if (::lchown(path.c_str(), owner.uid, owner.gid) < 0) return ErrnoStatus(errno, "chown ", path);
  return absl::OkStatus();
}

absl::Status MakeSpool(const std::string& path, const Identity& qmgr) {
  for (const std::string& directory : {path, path + "/log", path + "/content"}) {
    RETURN_IF_ERROR(MakeDirectory(directory, 0700));
    RETURN_IF_ERROR(GiveTo(directory, qmgr));
  }
  const std::string lock = path + "/lock";
  UniqueFd fd(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return ErrnoStatus(errno, "make ", lock);
  return GiveTo(lock, qmgr);
}

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
    return ErrnoStatus(errno, "listen on ", address.ToString(), ": bind");
  if (::listen(fd.get(), kBacklog) < 0) return ErrnoStatus(errno, "listen on ", address.ToString());
  return fd;
}

// What systemd passed, by address. The variables are taken away, so that no child believes in them.
std::vector<std::pair<SocketAddress, UniqueFd>> PassedSockets() {
  std::vector<std::pair<SocketAddress, UniqueFd>> passed;
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid != nullptr && count != nullptr && std::atoi(pid) == ::getpid()) {
    for (int fd = kFirstPassedFd; fd < kFirstPassedFd + std::atoi(count); ++fd) {
      UniqueFd owned(fd);
      ::fcntl(fd, F_SETFD, FD_CLOEXEC);
      ::fcntl(fd, F_SETFL, O_NONBLOCK);
      sockaddr_storage storage{};
      socklen_t length = sizeof storage;
      if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) < 0) continue;
      passed.emplace_back(SocketAddress::From(storage), std::move(owned));
    }
  }
  ::unsetenv("LISTEN_PID");
  ::unsetenv("LISTEN_FDS");
  ::unsetenv("LISTEN_FDNAMES");
  return passed;
}

absl::StatusOr<UniqueFd> ConnectLogSocket(const char* path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return ErrnoStatus(errno, "log socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    return ErrnoStatus(errno, "connect to ", std::string_view(path));
  return fd;
}

}  // namespace

absl::Status MakeDirectories(const config::Settings& settings, const Identity& qmgr,
                             const std::vector<protocol::control::Account>& accounts) {
  RETURN_IF_ERROR(MakeDirectory(settings.run_directory, 0755));
  if (settings.log.target == config::LogTarget::kFile) {
    RETURN_IF_ERROR(MakeDirectory(std::filesystem::path(settings.log.file).parent_path(), 0755));
  }
  for (const std::string& spool : settings.queue.directories)
    RETURN_IF_ERROR(MakeSpool(spool, qmgr));
  if (settings.root == "/") return absl::OkStatus();
  for (const protocol::control::Account& account : accounts) {
    // In an instance the mailboxes lie under its root, where no user can put links in the way.
    if (!account.mailbox.starts_with(settings.root + "/")) continue;
    if (settings.local.format == config::MailboxFormat::kMbox) {
      RETURN_IF_ERROR(MakeDirectory(std::filesystem::path(account.mailbox).parent_path(), 0755));
      UniqueFd fd(
          ::open(account.mailbox.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
      if (!fd) return ErrnoStatus(errno, "make ", account.mailbox);
    } else {
      RETURN_IF_ERROR(MakeDirectory(account.mailbox, 0700));
    }
    const Identity owner{.drop = qmgr.drop, .uid = account.uid, .gid = account.gid};
    RETURN_IF_ERROR(GiveTo(account.mailbox, owner));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> ListenUnix(const std::string& path, unsigned mode) {
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
    ::unlink(path.c_str());
  }
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return ErrnoStatus(errno, "listen on ", path, ": socket");
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    return ErrnoStatus(errno, "listen on ", path, ": bind");
  if (::chmod(path.c_str(), mode) < 0) return ErrnoStatus(errno, "listen on ", path, ": chmod");
  if (::listen(fd.get(), kBacklog) < 0) return ErrnoStatus(errno, "listen on ", path);
  return fd;
}

absl::StatusOr<std::vector<OpenListener>> OpenListeners(const config::Settings& settings) {
  using protocol::control::ListenerKind;
  std::vector<std::pair<SocketAddress, UniqueFd>> passed = PassedSockets();
  std::vector<OpenListener> listeners;
  for (const SocketAddress& address : settings.smtp.listen) {
    UniqueFd fd;
    for (auto& [bound, socket] : passed) {
      if (socket.valid() && bound == address) fd = std::move(socket);
    }
    if (!fd) {
      ASSIGN_OR_RETURN(fd, ListenTcp(address));
    }
    listeners.push_back(
        {.kind = ListenerKind::kSmtp, .name = address.ToString(), .fd = std::move(fd)});
  }
  if (!settings.smtp.socket.empty()) {
    ASSIGN_OR_RETURN(UniqueFd fd, ListenUnix(settings.smtp.socket, 0666));
    listeners.push_back({.kind = ListenerKind::kSubmissionSocket,
                         .name = settings.smtp.socket,
                         .fd = std::move(fd)});
  }
  return listeners;
}

absl::StatusOr<UniqueFd> OpenLog(const config::Settings& settings) {
  switch (settings.log.target) {
    case config::LogTarget::kJournald:
      return ConnectLogSocket("/run/systemd/journal/socket");
    case config::LogTarget::kSyslog:
      return ConnectLogSocket("/dev/log");
    case config::LogTarget::kStderr: {
      UniqueFd fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10));
      if (!fd) return ErrnoStatus(errno, "log to standard error");
      return fd;
    }
    case config::LogTarget::kFile:
      break;
  }
  UniqueFd fd(::open(settings.log.file.c_str(),
                     O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!fd) return ErrnoStatus(errno, "open log ", settings.log.file);
  return fd;
}

}  // namespace postern::master
