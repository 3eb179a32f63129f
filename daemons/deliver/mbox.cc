#include "daemons/deliver/mbox.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/base/fstat.h"
#include "common/io/event.h"
#include "common/io/file.h"
#include "common/io/loop.h"
#include "daemons/deliver/text.h"

namespace postern::deliver {
namespace {

constexpr io::Deadline kNever = io::Deadline::Never();
// How long another program may hold the mailbox, and how often we look.
constexpr absl::Duration kLockPatience = absl::Seconds(30);
constexpr absl::Duration kLockInterval = absl::Milliseconds(100);

// Mail readers use the one kind of lock or the other; whoever holds either keeps us out.
class MailboxLock {
 public:
  explicit MailboxLock(int fd) : fd_(fd) {}
  MailboxLock(const MailboxLock&) = delete;
  ~MailboxLock() {
    if (locked_) Unlock();
  }

  // Errors: kUnavailable another program has it
  absl::Status TryLock() {
    if (::flock(fd_, LOCK_EX | LOCK_NB) < 0) return Held(errno);
    if (Record(F_WRLCK) < 0) {
      const int error = errno;
      ::flock(fd_, LOCK_UN);
      return Held(error);
    }
    locked_ = true;
    return absl::OkStatus();
  }

 private:
  static absl::Status Held(int error) {
    if (error == EWOULDBLOCK || error == EACCES)
      return Unavailable("the mailbox is locked by another program");
    return ErrnoStatus(error, "lock the mailbox");
  }
  // Of the whole file. It belongs to the open file, not to the process (OFD).
  int Record(int16_t type) const {
    struct flock range{};
    range.l_type = type;
    range.l_whence = SEEK_SET;
    return ::fcntl(fd_, F_OFD_SETLK, &range);
  }
  void Unlock() const {
    Record(F_UNLCK);
    ::flock(fd_, LOCK_UN);
  }

  const int fd_;
  bool locked_ = false;
};

// Messages of ours are appended one after the other.
class Mbox final : public Mailbox {
 public:
  explicit Mbox(UniqueFd file) : file_(std::move(file)) {}

  io::Task<absl::Status> Store(Source& source, const std::string& sender) override {
    while (busy_) CO_RETURN_IF_ERROR(co_await free_.Wait(kNever));
    busy_ = true;
    const absl::Status stored = co_await StoreAlone(io::Loop::Current(), source, sender);
    busy_ = false;
    free_.Wake();
    co_return stored;
  }

 private:
  io::Task<absl::Status> StoreAlone(io::Loop& loop, Source& source, const std::string& sender) {
    const io::Deadline until = loop.After(kLockPatience);
    MailboxLock lock(file_.get());
    for (;;) {
      const absl::Status locked = lock.TryLock();
      if (locked.ok()) break;
      if (!absl::IsUnavailable(locked) || loop.Now() > until) co_return locked;
      CO_RETURN_IF_ERROR(co_await io::Sleep(loop.After(kLockInterval)));
    }
    struct stat about;
    if (Fstat(file_.get(), &about) < 0) co_return ErrnoStatus(errno, "stat the mailbox");
    const auto end = static_cast<uint64_t>(about.st_size);
    absl::Status stored = co_await Append(loop, source, sender, end);
    if (!stored.ok() && ::ftruncate(file_.get(), static_cast<off_t>(end)) < 0)
      stored = Annotate(stored, "and the partial message could not be removed");
    co_return stored;
  }

  io::Task<absl::Status> Append(io::Loop& loop, Source& source, const std::string& sender,
                                uint64_t offset) {
    std::string out;
    if (offset > 0) {
      // Another program's last message may lack its line end; ours would become part of it.
      char last = '\n';
      CO_RETURN_IF_ERROR(
          (co_await io::ReadAt(loop, file_.get(), &last, 1, offset - 1, kNever)).status());
      if (last != '\n') out = "\n\n";
    }
    MboxQuoter quoter;
    out += FromLine(sender, absl::ToUnixSeconds(loop.WallTime()));
    for (bool more = true; more;) {
      CO_ASSIGN_OR_RETURN(const std::string piece, co_await source.Next(loop));
      more = !piece.empty();
      if (more) {
        quoter.Append(piece, out);
      } else {
        quoter.Finish(out);
      }
      CO_RETURN_IF_ERROR(co_await io::WriteAt(loop, file_.get(), out, offset, kNever));
      offset += out.size();
      out.clear();
    }
    co_return co_await io::SyncFile(loop, file_.get(), io::Sync::kAll, kNever);
  }

  UniqueFd file_;
  bool busy_ = false;
  io::Event free_;
};

}  // namespace

std::unique_ptr<Mailbox> MakeMbox(UniqueFd file) { return std::make_unique<Mbox>(std::move(file)); }

}  // namespace postern::deliver
