// daemons/deliver/mailbox.h — writing messages into a Maildir or an mbox, durably.
#pragma once

#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/io/event.h"
#include "common/io/loop.h"
#include "daemons/deliver/source.h"

namespace postern::deliver {

class Mailbox {
 public:
  virtual ~Mailbox() = default;
  // After OK the message is in the mailbox, whatever happens. After an error nothing of it is
  // there. Errors: kResourceExhausted  quota or disk; others: trouble. All are temporary.
  virtual io::Task<absl::Status> Store(Source& source, const std::string& sender) = 0;
};

// Opens (and makes) the mailbox at `path`, relative to `parent`, as the user we are by now.
struct OpenMailbox {
  UniqueFd granted;  // the directory whose files may be changed
  std::unique_ptr<Mailbox> mailbox;
};
enum class Format { kMaildir, kMbox };
// `host` goes into the names of Maildir files.
absl::StatusOr<OpenMailbox> OpenMailboxAt(int parent, const std::string& name, Format format,
                                          const std::string& host);

// One fsync serves all renames that were finished before it began.
class DirectorySync {
 public:
  explicit DirectorySync(int fd) : fd_(fd) {}
  io::Task<absl::Status> Sync();
  uint64_t syncs() const { return syncs_; }

 private:
  const int fd_;
  bool running_ = false;
  uint64_t begun_ = 0;  // syncs begun
  uint64_t ended_ = 0;  // syncs ended well or badly
  absl::Status last_;
  io::Event changed_;
  uint64_t syncs_ = 0;
};

}  // namespace postern::deliver
