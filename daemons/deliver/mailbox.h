// daemons/deliver/mailbox.h — what messages are written into, durably: a Maildir or an mbox.
#pragma once

#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/io/task.h"
#include "common/ipc/protocol/locald_deliver.h"
#include "daemons/deliver/source.h"

namespace postern::deliver {

class Mailbox {
 public:
  virtual ~Mailbox() = default;
  // After OK the message is in the mailbox, whatever happens. After an error nothing of it is
  // there. All errors are temporary; AnswerOf says what they mean to the sender. Several may be
  // under way at once.
  virtual io::Task<absl::Status> Store(Source& source, const std::string& sender) = 0;
  // False: it never will be; a fresh process may have more luck.
  virtual bool usable() const { return true; }
};

enum class Format { kMaildir, kMbox };

struct OpenMailbox {
  UniqueFd granted;  // the directory below which files change, or the mbox itself
  std::unique_ptr<Mailbox> mailbox;
};

// The directory `path` below `root` ("/a/b", absolute both), for OpenMailboxAt. `root` is walked to
// as it is; below it no symbolic link is followed, since a user may own a part of the way.
absl::StatusOr<UniqueFd> OpenBelowRoot(const std::string& root, const std::string& path);

// Opens the mailbox `name` in `parent`, and makes (durably) what is missing, as the user we are by
// now. A last step that is a link is refused, as is an mbox with a second name or another owner.
// `host` goes into the names of Maildir files.
absl::StatusOr<OpenMailbox> OpenMailboxAt(int parent, const std::string& name, Format format,
                                          const std::string& host);

// In the place of one that could not be opened: every Store fails with `why`.
std::unique_ptr<Mailbox> NoMailbox(absl::Status why);

// What a Store means for the message (RFC 3463): 2.0.0; 4.2.2 over quota or too large for the
// mailbox; 4.3.1 disk full; 4.3.0 otherwise, with the reason.
protocol::mailbox::Delivered AnswerOf(const absl::Status& stored);

}  // namespace postern::deliver
