#include "common/io/file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>

#include <algorithm>
#include <cerrno>

namespace postern::io {
namespace {

constexpr size_t kMaxTransferOctets = 1u << 30;

// Both halves of a linked pair; the second completes last.
class LinkedWriteAndSync final {
 public:
  LinkedWriteAndSync(Loop& loop, int fd, std::string_view bytes, uint64_t offset)
      : write_(OpCode::kWrite, *this), sync_(OpCode::kFdatasync, *this), loop_(loop) {
    write_.fd = sync_.fd = fd;
    write_.buffer = const_cast<char*>(bytes.data());
    write_.length = static_cast<uint32_t>(bytes.size());
    write_.offset = offset;
    write_.link_next = true;
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    open_ = 2;
    if (loop_.Start(write_, &write_.result)) --open_;
    // Without a ring the write is over; a failed one must not be synced and called good.
    if (open_ == 1 && write_.result != static_cast<int>(write_.length)) {
      sync_.result = -ECANCELED;
      return false;
    }
    if (loop_.Start(sync_, &sync_.result)) --open_;
    return open_ > 0;
  }
  // What the write wrote, and what the sync said.
  std::pair<int, int> await_resume() const noexcept { return {write_.result, sync_.result}; }

 private:
  struct Half final : Operation {
    Half(OpCode op, LinkedWriteAndSync& pair) : Operation(op), owner(pair) {}
    ~Half() override = default;
    void OnCompletion(int completed, uint32_t, bool) override {
      result = completed;
      if (--owner.open_ == 0) owner.loop_.Schedule(owner.waiter_);
    }
    LinkedWriteAndSync& owner;
    int result = 0;
  };

  Half write_;
  Half sync_;
  Loop& loop_;
  std::coroutine_handle<> waiter_;
  int open_ = 0;
};

}  // namespace

Task<absl::StatusOr<UniqueFd>> OpenBeneath(Loop& loop, int directory, const char* path, int flags,
                                           uint32_t mode, Deadline until) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  OperationAwaiter open(loop, OpCode::kOpenAt, until);
  open.fd = directory;
  open.path = path;
  open.how = &how;
  const int fd = co_await open;
  if (fd < 0) co_return ErrnoStatus(-fd, "open ", path);
  co_return UniqueFd(fd);
}

Task<absl::Status> WriteAt(Loop& loop, int fd, std::string_view bytes, uint64_t offset,
                           Deadline until) {
  while (!bytes.empty()) {
    OperationAwaiter write(loop, OpCode::kWrite, until);
    write.fd = fd;
    write.buffer = const_cast<char*>(bytes.data());
    write.length = static_cast<uint32_t>(std::min(bytes.size(), kMaxTransferOctets));
    write.offset = offset;
    const int written = co_await write;
    if (written < 0) co_return ErrnoStatus(-written, "write");
    if (written == 0) co_return ErrnoStatus(ENOSPC, "write");
    offset += static_cast<uint64_t>(written);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<size_t>> ReadAt(Loop& loop, int fd, char* buffer, size_t octets,
                                    uint64_t offset, Deadline until) {
  size_t done = 0;
  while (done < octets) {
    OperationAwaiter read(loop, OpCode::kRead, until);
    read.fd = fd;
    read.buffer = buffer + done;
    read.length = static_cast<uint32_t>(std::min(octets - done, kMaxTransferOctets));
    read.offset = offset + done;
    const int got = co_await read;
    if (got < 0) co_return ErrnoStatus(-got, "read");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  co_return done;
}

Task<absl::Status> SyncFile(Loop& loop, int fd, Sync what, Deadline until) {
  OperationAwaiter sync(loop, what == Sync::kAll ? OpCode::kFsync : OpCode::kFdatasync, until);
  sync.fd = fd;
  const int result = co_await sync;
  if (result < 0) co_return ErrnoStatus(-result, "sync");
  co_return absl::OkStatus();
}

Task<absl::Status> WriteAndSync(Loop& loop, int fd, std::string_view bytes, uint64_t offset) {
  if (bytes.size() <= kMaxTransferOctets) {
    LinkedWriteAndSync pair(loop, fd, bytes, offset);
    const auto [written, synced] = co_await pair;
    if (written < 0) co_return ErrnoStatus(-written, "write");
    if (static_cast<size_t>(written) == bytes.size()) {
      if (synced < 0) co_return ErrnoStatus(-synced, "sync");
      co_return absl::OkStatus();
    }
    // A short write broke the link, so nothing was synced: the rest, then the sync, one by one.
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  CO_RETURN_IF_ERROR(co_await WriteAt(loop, fd, bytes, offset, Deadline::Never()));
  co_return co_await SyncFile(loop, fd, Sync::kDataOnly, Deadline::Never());
}

Task<absl::Status> Rename(Loop& loop, int directory, const char* from, int new_directory,
                          const char* to, bool replace, Deadline until) {
  OperationAwaiter rename(loop, OpCode::kRenameAt, until);
  rename.fd = directory;
  rename.path = from;
  rename.new_fd = new_directory;
  rename.new_path = to;
  rename.flags = replace ? 0 : RENAME_NOREPLACE;
  const int result = co_await rename;
  if (result < 0) co_return ErrnoStatus(-result, "rename ", from, " to ", to);
  co_return absl::OkStatus();
}

Task<absl::Status> Link(Loop& loop, int directory, const char* from, int new_directory,
                        const char* to, Deadline until) {
  OperationAwaiter link(loop, OpCode::kLinkAt, until);
  link.fd = directory;
  link.path = from;
  link.new_fd = new_directory;
  link.new_path = to;
  const int result = co_await link;
  if (result < 0) co_return ErrnoStatus(-result, "link ", from, " to ", to);
  co_return absl::OkStatus();
}

Task<absl::Status> Unlink(Loop& loop, int directory, const char* path, Deadline until) {
  OperationAwaiter unlink(loop, OpCode::kUnlinkAt, until);
  unlink.fd = directory;
  unlink.path = path;
  const int result = co_await unlink;
  if (result < 0) co_return ErrnoStatus(-result, "unlink ", path);
  co_return absl::OkStatus();
}

Task<absl::StatusOr<int>> Poll(Loop& loop, int fd, int events, Deadline until) {
  OperationAwaiter poll(loop, OpCode::kPoll, until);
  poll.fd = fd;
  poll.flags = events;
  const int result = co_await poll;
  if (result < 0) co_return ErrnoStatus(-result, "poll");
  co_return result;
}

}  // namespace postern::io
