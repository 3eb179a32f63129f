#include "daemons/deliver/mailbox.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "daemons/deliver/maildir.h"
#include "daemons/deliver/mbox.h"

namespace postern::deliver {
namespace {

// A new name is durable once its directory is. One that may be searched but not read cannot be
// synced; its owner made it before us.
absl::Status SyncDirectory(int fd) {
  const UniqueFd readable(::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!readable && errno == EACCES) return absl::OkStatus();
  if (!readable || ::fsync(readable.get()) < 0) return ErrnoStatus(errno, "sync a directory");
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> MakeDirectoryAt(int at, const std::string& name, bool& made) {
  made = ::mkdirat(at, name.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return ErrnoStatus(errno, "make ", name);
  UniqueFd fd(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return ErrnoStatus(errno, "open ", name);
  return fd;
}

absl::StatusOr<UniqueFd> Duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return ErrnoStatus(errno, "duplicate a descriptor");
  return copy;
}

absl::StatusOr<OpenMailbox> OpenMaildir(int parent, const std::string& name,
                                        const std::string& host) {
  bool made_itself = false;
  bool made_new = false;
  bool made_tmp = false;
  bool made_cur = false;
  ASSIGN_OR_RETURN(UniqueFd directory, MakeDirectoryAt(parent, name, made_itself));
  ASSIGN_OR_RETURN(UniqueFd fresh, MakeDirectoryAt(directory.get(), "new", made_new));
  RETURN_IF_ERROR(MakeDirectoryAt(directory.get(), "tmp", made_tmp).status());
  RETURN_IF_ERROR(MakeDirectoryAt(directory.get(), "cur", made_cur).status());
  if (made_new || made_tmp || made_cur) RETURN_IF_ERROR(SyncDirectory(directory.get()));
  if (made_itself) RETURN_IF_ERROR(SyncDirectory(parent));
  ASSIGN_OR_RETURN(UniqueFd granted, Duplicate(directory.get()));
  return OpenMailbox{.granted = std::move(granted),
                     .mailbox = MakeMaildir(std::move(directory), std::move(fresh), host)};
}

absl::StatusOr<OpenMailbox> OpenMbox(int parent, const std::string& name) {
  constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd file(::openat(parent, name.c_str(), kFlags | O_CREAT | O_EXCL, 0600));
  const bool made = file.valid();
  if (!made && errno == EEXIST) file.reset(::openat(parent, name.c_str(), kFlags));
  if (!file) return ErrnoStatus(errno, "open ", name);
  struct stat about;
  if (::fstat(file.get(), &about) < 0) return ErrnoStatus(errno, "stat ", name);
  // A second name of the file could be anything of the user's that others write to.
  if (!S_ISREG(about.st_mode) || about.st_nlink != 1 || about.st_uid != ::geteuid())
    return FailedPrecondition("mailbox ", name, " is not a plain file of its user's own");
  if (made) RETURN_IF_ERROR(SyncDirectory(parent));
  ASSIGN_OR_RETURN(UniqueFd granted, Duplicate(file.get()));
  return OpenMailbox{.granted = std::move(granted), .mailbox = MakeMbox(std::move(file))};
}

class Absent final : public Mailbox {
 public:
  explicit Absent(absl::Status why) : why_(std::move(why)) {}
  io::Task<absl::Status> Store(Source&, const std::string&) override { co_return why_; }
  bool usable() const override { return false; }

 private:
  const absl::Status why_;
};

bool EndsWithError(const absl::Status& status, int error) {
  return Message(status).ends_with(::strerror(error));
}

}  // namespace

absl::StatusOr<UniqueFd> OpenBelowRoot(const std::string& root, const std::string& path) {
  const UniqueFd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return ErrnoStatus(errno, "open ", root);
  if (path == root) return Duplicate(top.get());
  if (!path.starts_with(root + "/")) return InvalidArgument(path, " is not below ", root);
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const std::string relative = path.substr(root.size() + 1);
  UniqueFd fd(
      static_cast<int>(::syscall(SYS_openat2, top.get(), relative.c_str(), &how, sizeof how)));
  if (!fd) return ErrnoStatus(errno, "open ", path);
  return fd;
}

absl::StatusOr<OpenMailbox> OpenMailboxAt(int parent, const std::string& name, Format format,
                                          const std::string& host) {
  return format == Format::kMaildir ? OpenMaildir(parent, name, host) : OpenMbox(parent, name);
}

std::unique_ptr<Mailbox> NoMailbox(absl::Status why) {
  return std::make_unique<Absent>(std::move(why));
}

protocol::mailbox::Delivered AnswerOf(const absl::Status& stored) {
  if (stored.ok()) {
    return {.outcome = protocol::delivery::Outcome::kDelivered,
            .status = "2.0.0",
            .diagnostic = "delivered to mailbox"};
  }
  protocol::mailbox::Delivered answer;
  // Whose space ran out, the user's or the system's, is a code of its own in mail and not in
  // Status.
  const bool users = EndsWithError(stored, EDQUOT) || EndsWithError(stored, EFBIG);
  answer.status = users ? "4.2.2" : EndsWithError(stored, ENOSPC) ? "4.3.1" : "4.3.0";
  answer.diagnostic = std::string(Message(stored)).substr(0, protocol::kMaxReplyText);
  return answer;
}

}  // namespace postern::deliver
