#include "daemons/deliver/maildir.h"

#include <fcntl.h>
#include <sys/random.h>

#include <array>
#include <charconv>
#include <utility>

#include "common/base/check.h"
#include "common/io/file.h"
#include "common/io/loop.h"
#include "daemons/deliver/directory_sync.h"

namespace postern::deliver {
namespace {

// What follows the last rename of a message is never cut short by a deadline of ours: locald has
// its own, and a mailbox left half-way would be worse than a late answer.
constexpr io::Deadline kNever = io::Deadline::Never();

// 64 bits in hexadecimal.
std::string RandomWord() {
  uint64_t number;
  CHECK(::getrandom(&number, sizeof number, 0) == sizeof number);
  std::array<char, 16> digits;
  const auto [end, error] = std::to_chars(digits.begin(), digits.end(), number, 16);
  return std::string(digits.begin(), end);
}

class Maildir final : public Mailbox {
 public:
  Maildir(UniqueFd directory, UniqueFd fresh, std::string host)
      : directory_(std::move(directory)),
        new_(std::move(fresh)),
        host_(std::move(host)),
        random_(RandomWord()),
        sync_(new_.get()) {
    // They have meanings in the names of a Maildir.
    for (char& c : host_) {
      if (c == '/' || c == ':') c = '_';
    }
  }

  io::Task<absl::Status> Store(Source& source, const std::string&) override {
    io::Loop& loop = io::Loop::Current();
    const std::string name = UniqueName(loop);
    const std::string temporary = "tmp/" + name;
    CO_ASSIGN_OR_RETURN(UniqueFd file,
                        co_await io::OpenBeneath(loop, directory_.get(), temporary.c_str(),
                                                 O_WRONLY | O_CREAT | O_EXCL, 0600, kNever));
    absl::Status stored = co_await WriteAll(loop, file.get(), source);
    loop.Close(file.release());
    if (stored.ok()) stored = co_await Publish(loop, temporary, name);
    if (!stored.ok()) {
      IgnoreStatus(co_await io::Unlink(loop, directory_.get(), temporary.c_str(), kNever),
                   "mail readers clean tmp");
      co_return stored;
    }
    stored = co_await sync_.Sync();
    if (!stored.ok()) {
      IgnoreStatus(co_await io::Unlink(loop, new_.get(), name.c_str(), kNever),
                   "a second copy at the worst");
    }
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
      CO_RETURN_IF_ERROR(co_await io::WriteAt(loop, fd, piece, offset, kNever));
      offset += piece.size();
      piece = std::move(next);
    }
  }

  // By the descriptor of `new`, which is the one that is synced afterwards: a directory that was
  // put in its place meanwhile would get the message and not the sync.
  io::Task<absl::Status> Publish(io::Loop& loop, const std::string& temporary,
                                 const std::string& name) {
    const absl::Status renamed = co_await io::Rename(loop, directory_.get(), temporary.c_str(),
                                                     new_.get(), name.c_str(), false, kNever);
    // NFS has no rename that spares an existing file; a link does.
    if (!absl::IsInvalidArgument(renamed)) co_return renamed;
    CO_RETURN_IF_ERROR(co_await io::Link(loop, directory_.get(), temporary.c_str(), new_.get(),
                                         name.c_str(), kNever));
    IgnoreStatus(co_await io::Unlink(loop, directory_.get(), temporary.c_str(), kNever),
                 "mail readers clean tmp");
    co_return absl::OkStatus();
  }

  // time.MmicrosRrandomQcounter.host: every process of ours is 1 in its own PID namespace, so the
  // number that tells them apart is a random one.
  std::string UniqueName(io::Loop& loop) {
    const int64_t us = absl::ToUnixMicros(loop.WallTime());
    return StrCat(us / 1'000'000, ".M", us % 1'000'000, 'R', random_, 'Q', ++counter_, '.', host_);
  }

  UniqueFd directory_;
  UniqueFd new_;
  std::string host_;
  const std::string random_;
  DirectorySync sync_;
  uint64_t counter_ = 0;
};

}  // namespace

std::unique_ptr<Mailbox> MakeMaildir(UniqueFd directory, UniqueFd fresh, std::string host) {
  return std::make_unique<Maildir>(std::move(directory), std::move(fresh), std::move(host));
}

}  // namespace postern::deliver
