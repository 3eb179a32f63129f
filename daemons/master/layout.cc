#include "daemons/master/layout.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace postern::master {
namespace {

// With all above it. One that is there already must be a directory in which we can make files.
absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  const std::string parent = std::filesystem::path(path).parent_path();
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  if (error) return ErrnoStatus(error.value(), "make directory ", parent);
  if (::mkdir(path.c_str(), mode) == 0) return absl::OkStatus();
  if (errno != EEXIST) return ErrnoStatus(errno, "make directory ", path);
  struct stat about;
  if (::stat(path.c_str(), &about) < 0) return ErrnoStatus(errno, "make directory ", path);
  if (!S_ISDIR(about.st_mode)) return FailedPrecondition(path, " is no directory");
  if (::access(path.c_str(), W_OK | X_OK) < 0) {
    return ErrnoStatus(errno, "directory ", path, " of user ", about.st_uid,
                       " cannot be written by user ", ::geteuid());
  }
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

// A spool of another user may hold what we must not touch, or cannot read: nothing is guessed.
absl::Status CheckSpoolOwner(const std::string& path, const Identity& qmgr) {
  struct stat about;
  if (::lstat(path.c_str(), &about) < 0) return ErrnoStatus(errno, "stat ", path);
  if (!qmgr.drop || about.st_uid == 0 || about.st_uid == qmgr.uid) return absl::OkStatus();
  return FailedPrecondition("spool ", path, " belongs to user ", about.st_uid,
                            ", but the queue manager is user ", qmgr.uid, ": chown -R ", qmgr.uid,
                            ":", qmgr.gid, " ", path, ", or set queue.directories to another");
}

absl::Status MakeSpool(const std::string& path, const Identity& qmgr) {
  RETURN_IF_ERROR(MakeDirectory(path, 0700));
  RETURN_IF_ERROR(CheckSpoolOwner(path, qmgr));
  for (const std::string& directory : {path, path + "/log", path + "/content"}) {
    RETURN_IF_ERROR(MakeDirectory(directory, 0700));
    RETURN_IF_ERROR(GiveTo(directory, qmgr));
  }
  const std::string lock = path + "/lock";
  UniqueFd fd(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return ErrnoStatus(errno, "make ", lock);
  return GiveTo(lock, qmgr);
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

absl::Status MakeRunDirectory(const config::Settings& settings) {
  return MakeDirectory(settings.run_directory, 0755);
}

absl::Status MakeDirectories(const config::Settings& settings, const Identity& qmgr,
                             const std::vector<protocol::control::Account>& accounts) {
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

log::SinkKind SinkOf(const config::Log& log) {
  if (log.target == config::LogTarget::kJournald) return log::SinkKind::kJournald;
  if (log.target == config::LogTarget::kSyslog) return log::SinkKind::kSyslog;
  return log::SinkKind::kFile;
}

log::Format FormatOf(const config::Log& log) {
  return log.format == config::LogFormat::kJson ? log::Format::kJson : log::Format::kPlain;
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
