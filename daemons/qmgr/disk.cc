#include "daemons/qmgr/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/fstat.h"
#include "common/base/unique_fd.h"
#include "common/io/file.h"

namespace postern::qmgr {
namespace {

constexpr mode_t kFileMode = 0600;
// Files (inodes) kept for segments with what becomes of old mail: with fewer there is no room.
constexpr uint64_t kReserveFiles = 32;
constexpr size_t kListingOctets = 16384;  // of directory entries at a time

class SpoolFile final : public DiskFile {
 public:
  SpoolFile(UniqueFd fd, int spool, std::string name)
      : fd_(std::move(fd)), spool_(spool), name_(std::move(name)) {}

  io::Task<absl::Status> Write(std::string_view bytes, uint64_t offset) override {
    return io::WriteAt(io::Loop::Current(), fd_.get(), bytes, offset, io::Deadline::Never());
  }
  io::Task<absl::Status> WriteAndSync(std::string_view bytes, uint64_t offset) override {
    return io::WriteAndSync(io::Loop::Current(), fd_.get(), bytes, offset);
  }
  io::Task<absl::Status> Sync() override {
    return io::SyncFile(io::Loop::Current(), fd_.get(), io::Sync::kDataOnly, io::Deadline::Never());
  }
  io::Task<absl::StatusOr<size_t>> Read(char* to, size_t octets, uint64_t offset) override {
    return io::ReadAt(io::Loop::Current(), fd_.get(), to, octets, offset, io::Deadline::Never());
  }
  absl::StatusOr<uint64_t> Octets() const override {
    struct stat about;
    if (Fstat(fd_.get(), &about) < 0) return ErrnoStatus(errno, "stat ", name_);
    return static_cast<uint64_t>(about.st_size);
  }
  absl::StatusOr<int> OpenForReading() const override {
    const int fd = ::openat(spool_, name_.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return ErrnoStatus(errno, "open ", name_);
    return fd;
  }

 private:
  UniqueFd fd_;
  const int spool_;
  const std::string name_;
};

class Spool final : public Disk {
 public:
  Spool(UniqueFd directory, UniqueFd log, UniqueFd content, UniqueFd lock)
      : directory_(std::move(directory)),
        log_(std::move(log)),
        content_(std::move(content)),
        lock_(std::move(lock)) {}

  io::Task<absl::StatusOr<std::unique_ptr<DiskFile>>> Create(const std::string& name,
                                                             uint64_t octets) override {
    CO_ASSIGN_OR_RETURN(UniqueFd fd, co_await OpenAt(name, O_RDWR | O_CREAT | O_EXCL));
    // Room first: a full disk shows here, not in the middle of a batch.
    if (const int error = Allocate(fd.get(), octets); error != 0) {
      IgnoreStatus(co_await Remove(name), "the reason is the other error");
      co_return ErrnoStatus(error, "allocate ", octets, " octets for ", name);
    }
    co_return std::make_unique<SpoolFile>(std::move(fd), directory_.get(), name);
  }
  io::Task<absl::StatusOr<std::unique_ptr<DiskFile>>> Open(const std::string& name) override {
    // Without waiting: the other end of a pipe may never come.
    absl::StatusOr<UniqueFd> fd = co_await OpenAt(name, O_RDWR | O_NONBLOCK);
    if (!fd.ok() ? co_await IsSomethingElse(name) : !IsRegular(fd->get()))
      co_return InvalidArgument("not a regular file");
    CO_RETURN_IF_ERROR(fd.status());
    co_return std::make_unique<SpoolFile>(*std::move(fd), directory_.get(), name);
  }
  io::Task<absl::Status> Remove(const std::string& name) override {
    co_return co_await io::Unlink(io::Loop::Current(), directory_.get(), name.c_str(),
                                  io::Deadline::Never());
  }
  io::Task<absl::Status> SyncDirectory(const std::string& directory) override {
    return io::SyncFile(io::Loop::Current(), directory == "log" ? log_.get() : content_.get(),
                        io::Sync::kAll, io::Deadline::Never());
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override;
  absl::StatusOr<uint64_t> FreeOctets() override {
    struct statfs about;
    if (::fstatfs(directory_.get(), &about) < 0) return ErrnoStatus(errno, "statfs of the spool");
    if (about.f_files > 0 && about.f_ffree < kReserveFiles) return 0;
    return static_cast<uint64_t>(about.f_bavail) * static_cast<uint64_t>(about.f_bsize);
  }

 private:
  io::Task<absl::StatusOr<UniqueFd>> OpenAt(const std::string& name, int flags) {
    co_return co_await io::OpenBeneath(io::Loop::Current(), directory_.get(), name.c_str(), flags,
                                       (flags & O_CREAT) != 0 ? kFileMode : 0,
                                       io::Deadline::Never());
  }

  static bool IsRegular(int fd) {
    struct stat about;
    return Fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
  }
  // There, and a directory, a link, a socket: not to be opened as a file.
  io::Task<bool> IsSomethingElse(const std::string& name) {
    const absl::StatusOr<UniqueFd> fd = co_await OpenAt(name, O_PATH | O_NOFOLLOW);
    co_return fd.ok() && !IsRegular(fd->get());
  }
  // errno, or 0: also where the file system cannot allocate in advance.
  static int Allocate(int fd, uint64_t octets) {
    if (octets == 0) return 0;
    for (;;) {
      if (::fallocate(fd, 0, 0, static_cast<off_t>(octets)) == 0) return 0;
      if (errno != EINTR) return errno == EOPNOTSUPP ? 0 : errno;
    }
  }

  UniqueFd directory_;
  UniqueFd log_;
  UniqueFd content_;
  UniqueFd lock_;
};

// By the system call: fdopendir asks for more, and among it a look at any path (newfstatat), which
// a filter cannot tell from a look at the directory.
absl::StatusOr<std::vector<std::string>> Spool::List(const std::string& directory) {
  const UniqueFd fd(::openat(directory_.get(), directory.c_str(),
                             O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return ErrnoStatus(errno, "open ", directory);
  std::vector<std::string> names;
  alignas(dirent64) char entries[kListingOctets];
  for (;;) {
    const long got = ::syscall(SYS_getdents64, fd.get(), entries, sizeof entries);
    if (got < 0) return ErrnoStatus(errno, "read ", directory);
    if (got == 0) break;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      at += entry->d_reclen;
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Mail at rest is for nobody else, and only its owner's files are believed.
absl::Status CheckOwner(int fd, const std::string& path, uid_t owner) {
  struct stat about;
  if (Fstat(fd, &about) < 0) return ErrnoStatus(errno, "stat ", path);
  if (about.st_uid != owner) {
    return FailedPrecondition("queue ", path, " belongs to uid ", about.st_uid, ", not to uid ",
                              owner, "; give it to the user that runs qmgr");
  }
  if ((about.st_mode & S_IWOTH) != 0) {
    return FailedPrecondition("queue ", path,
                              " can be written to by everybody; take that permission away");
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> MakeDirectory(int at, const std::string& path) {
  const bool made = ::mkdirat(at, path.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return ErrnoStatus(errno, "mkdir ", path);
  UniqueFd fd(::openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return ErrnoStatus(errno, "open ", path);
  if (made) {
    // Its name must outlive a power cut as well as what is in it.
    UniqueFd above(::openat(fd.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!above || ::fsync(above.get()) < 0) return ErrnoStatus(errno, "sync what holds ", path);
  }
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Disk>> OpenSpool(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd directory, MakeDirectory(AT_FDCWD, path));
  struct stat about;
  if (Fstat(directory.get(), &about) < 0) return ErrnoStatus(errno, "stat ", path);
  // Root has not dropped its powers yet: then whoever the spool was given to.
  const uid_t owner = ::geteuid() != 0 ? ::geteuid() : about.st_uid;
  RETURN_IF_ERROR(CheckOwner(directory.get(), path, owner));
  ASSIGN_OR_RETURN(UniqueFd log, MakeDirectory(directory.get(), "log"));
  RETURN_IF_ERROR(CheckOwner(log.get(), path + "/log", owner));
  ASSIGN_OR_RETURN(UniqueFd content, MakeDirectory(directory.get(), "content"));
  RETURN_IF_ERROR(CheckOwner(content.get(), path + "/content", owner));
  UniqueFd lock(
      ::openat(directory.get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kFileMode));
  if (!lock) return ErrnoStatus(errno, "open ", path, "/lock");
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) < 0) {
    if (errno == EWOULDBLOCK)
      return FailedPrecondition("queue ", path, " is in use by another process");
    return ErrnoStatus(errno, "lock ", path);
  }
  if (::fsync(directory.get()) < 0) return ErrnoStatus(errno, "sync ", path);
  return std::make_unique<Spool>(std::move(directory), std::move(log), std::move(content),
                                 std::move(lock));
}

}  // namespace postern::qmgr
