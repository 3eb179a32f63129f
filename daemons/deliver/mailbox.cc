#include "daemons/deliver/mailbox.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/io/file.h"

namespace postern::deliver {
namespace {

absl::StatusOr<UniqueFd> MakeDirectoryAt(int at, const std::string& name) {
  if (::mkdirat(at, name.c_str(), 0700) < 0 && errno != EEXIST)
    return ErrnoStatus(errno, "make ", name);
  UniqueFd fd(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return ErrnoStatus(errno, "open ", name);
  return fd;
}

class Maildir final : public Mailbox {
 public:
  Maildir(UniqueFd directory, UniqueFd fresh, std::string host)
      : directory_(std::move(directory)),
        new_(std::move(fresh)),
        host_(std::move(host)),
        sync_(new_.get()) {}

  io::Task<absl::Status> Store(Source& source, const std::string&) override {
    io::Loop& loop = io::Loop::Current();
    const std::string name = UniqueName(loop);
    const std::string temporary = "tmp/" + name;
    CO_ASSIGN_OR_RETURN(
        UniqueFd file,
        co_await io::OpenBeneath(loop, directory_.get(), temporary.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL, 0600, io::Deadline::Never()));
    absl::Status stored = co_await WriteAll(loop, file.get(), source);
    loop.Close(file.release());
    const std::string final_name = "new/" + name;
    if (stored.ok()) {
      stored = co_await io::Rename(loop, directory_.get(), temporary.c_str(), directory_.get(),
                                   final_name.c_str(), false, io::Deadline::Never());
    }
    if (!stored.ok()) {
      IgnoreStatus(
          co_await io::Unlink(loop, directory_.get(), temporary.c_str(), io::Deadline::Never()),
          "tmp is cleaned by mail readers");
      co_return stored;
    }
    stored = co_await sync_.Sync();
    if (!stored.ok())
      IgnoreStatus(
          co_await io::Unlink(loop, directory_.get(), final_name.c_str(), io::Deadline::Never()),
          "a second copy at the worst");
    co_return stored;
  }

 private:
  // Data and sync in one go for what fits one piece, which nearly all messages do.
  static io::Task<absl::Status> WriteAll(io::Loop& loop, int fd, Source& source) {
    CO_ASSIGN_OR_RETURN(std::string piece, co_await source.Next(loop));
    uint64_t offset = 0;
    for (;;) {
      CO_ASSIGN_OR_RETURN(std::string next, co_await source.Next(loop));
      if (next.empty()) co_return co_await io::WriteAndSync(loop, fd, piece, offset);
      CO_RETURN_IF_ERROR(co_await io::WriteAt(loop, fd, piece, offset, io::Deadline::Never()));
      offset += piece.size();
      piece = std::move(next);
    }
  }

  // time.MmicrosPpidQcounter.host; '/' and ':' have meanings in a Maildir.
  std::string UniqueName(io::Loop& loop) {
    const int64_t us = absl::ToUnixMicros(loop.WallTime());
    std::string host = host_;
    for (char& c : host) {
      if (c == '/' || c == ':') c = '_';
    }
    return StrCat(us / 1'000'000, ".M", us % 1'000'000, 'P', ::getpid(), 'Q', ++counter_, '.',
                  host);
  }

  UniqueFd directory_;
  UniqueFd new_;
  const std::string host_;
  DirectorySync sync_;
  uint64_t counter_ = 0;
};

// Messages are appended one after the other, under a lock that mail readers know.
class Mbox final : public Mailbox {
 public:
  explicit Mbox(UniqueFd file) : file_(std::move(file)) {}

  io::Task<absl::Status> Store(Source& source, const std::string& sender) override {
    while (busy_) CO_RETURN_IF_ERROR(co_await free_.Wait(io::Deadline::Never()));
    busy_ = true;
    const absl::Status stored = co_await StoreAlone(source, sender);
    busy_ = false;
    free_.Wake();
    co_return stored;
  }

 private:
  io::Task<absl::Status> StoreAlone(Source& source, const std::string& sender) {
    io::Loop& loop = io::Loop::Current();
    const io::Deadline until = loop.After(absl::Seconds(30));
    while (::flock(file_.get(), LOCK_EX | LOCK_NB) < 0) {
      if (errno != EWOULDBLOCK) co_return ErrnoStatus(errno, "lock the mailbox");
      if (loop.Now() > until) co_return Unavailable("the mailbox is locked by another program");
      CO_RETURN_IF_ERROR(co_await io::Sleep(loop.After(absl::Milliseconds(100))));
    }
    struct stat about;
    absl::Status stored = ::fstat(file_.get(), &about) < 0 ? ErrnoStatus(errno, "stat the mailbox")
                                                           : absl::OkStatus();
    if (stored.ok()) {
      const auto start = static_cast<uint64_t>(about.st_size);
      stored = co_await AppendAt(loop, source, sender, start);
      if (!stored.ok() && ::ftruncate(file_.get(), static_cast<off_t>(start)) < 0) {
        stored = Annotate(stored, "and the partial message could not be removed");
      }
    }
    ::flock(file_.get(), LOCK_UN);
    co_return stored;
  }

  io::Task<absl::Status> AppendAt(io::Loop& loop, Source& source, const std::string& sender,
                                  uint64_t offset) {
    MboxQuoter quoter;
    std::string out = FromLine(sender, absl::ToUnixSeconds(loop.WallTime()));
    for (;;) {
      CO_ASSIGN_OR_RETURN(const std::string piece, co_await source.Next(loop));
      if (piece.empty()) quoter.Finish(out);
      if (!piece.empty()) quoter.Append(piece, out);
      CO_RETURN_IF_ERROR(
          co_await io::WriteAt(loop, file_.get(), out, offset, io::Deadline::Never()));
      offset += out.size();
      out.clear();
      if (piece.empty()) break;
    }
    co_return co_await io::SyncFile(loop, file_.get(), io::Sync::kAll, io::Deadline::Never());
  }

  UniqueFd file_;
  bool busy_ = false;
  io::Event free_;
};

}  // namespace

io::Task<absl::Status> DirectorySync::Sync() {
  // The one under way may have begun before our rename: the next one counts.
  const uint64_t wanted = begun_ + 1;
  while (ended_ < wanted) {
    if (!running_) {
      running_ = true;
      ++begun_;
      ++syncs_;
      last_ =
          co_await io::SyncFile(io::Loop::Current(), fd_, io::Sync::kAll, io::Deadline::Never());
      running_ = false;
      ++ended_;
      changed_.Wake();
      continue;
    }
    CO_RETURN_IF_ERROR(co_await changed_.Wait(io::Deadline::Never()));
  }
  co_return last_;
}

absl::StatusOr<OpenMailbox> OpenMailboxAt(int parent, const std::string& name, Format format,
                                          const std::string& host) {
  if (format == Format::kMaildir) {
    ASSIGN_OR_RETURN(UniqueFd directory, MakeDirectoryAt(parent, name));
    ASSIGN_OR_RETURN(UniqueFd fresh, MakeDirectoryAt(directory.get(), "new"));
    RETURN_IF_ERROR(MakeDirectoryAt(directory.get(), "tmp").status());
    RETURN_IF_ERROR(MakeDirectoryAt(directory.get(), "cur").status());
    UniqueFd granted(::fcntl(directory.get(), F_DUPFD_CLOEXEC, 0));
    if (!granted) return ErrnoStatus(errno, "open ", name);
    return OpenMailbox{
        .granted = std::move(granted),
        .mailbox = std::make_unique<Maildir>(std::move(directory), std::move(fresh), host)};
  }
  UniqueFd file(::openat(parent, name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return ErrnoStatus(errno, "open ", name);
  struct stat about;
  if (::fstat(file.get(), &about) < 0) return ErrnoStatus(errno, "stat ", name);
  // A second name of the file could be anything of the user's that others write to.
  if (!S_ISREG(about.st_mode) || about.st_nlink != 1 || about.st_uid != ::geteuid()) {
    return FailedPrecondition("mailbox ", name, " is not a plain file of its user's own");
  }
  UniqueFd granted(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
  if (!granted) return ErrnoStatus(errno, "open ", name);
  return OpenMailbox{.granted = std::move(granted),
                     .mailbox = std::make_unique<Mbox>(std::move(file))};
}

}  // namespace postern::deliver
