// daemons/smtpd/session_host.h — what a session needs of the process around it, so that tests and
// the fuzz target can stand in for policyd and qmgr.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ip.h"
#include "common/base/queue_id.h"
#include "common/base/status.h"
#include "common/config/settings.h"
#include "common/io/loop.h"
#include "common/ipc/protocol/smtpd_policyd.h"
#include "common/ipc/protocol/submission.h"

namespace postern::smtpd {

// Who is at the other end of the connection.
struct Client {
  SocketAddress address;   // kNone family: a local user
  std::string local_user;  // the account the kernel named; empty: came by TCP

  bool local() const { return !local_user.empty(); }
};

// One message on its way into the queue. Destroyed before Finish has said OK, it is taken back.
class MessageSink {
 public:
  virtual ~MessageSink() = default;
  // Passes content on, as fast as the queue takes it. `content` must stay in place until then.
  // Errors: kUnavailable the queue manager went away; kFailedPrecondition it refused (refusal())
  virtual io::Task<absl::Status> Write(std::string_view content, io::Deadline until) = 0;
  // Asks for the commit and waits for it: OK means durable.
  virtual io::Task<absl::Status> Finish(io::Deadline until) = 0;
  virtual void Cancel() = 0;
  // What the queue manager said when it refused; code 0: nothing.
  virtual const protocol::ReplyText& refusal() const = 0;
};

class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual const config::Settings& settings() const = 0;
  virtual io::Loop& loop() = 0;
  // Asks policyd; kUnavailable or kDeadlineExceeded when it gives no answer.
  virtual io::Task<absl::StatusOr<protocol::policy::Verdict>> AskConnect(
      const protocol::policy::ConnectQuestion& question) = 0;
  virtual io::Task<absl::StatusOr<protocol::policy::Verdict>> AskRecipient(
      const protocol::policy::RecipientQuestion& question) = 0;
  // Begins a message at one of the queue managers.
  // Errors: kUnavailable none is there; kResourceExhausted it has too much under way
  virtual absl::StatusOr<std::unique_ptr<MessageSink>> Submit(
      const protocol::submission::Submit& submit,
      const std::vector<protocol::submission::Recipient>& recipients) = 0;
  virtual QueueId NextQueueId() = 0;
  virtual bool stopping() const = 0;
};

}  // namespace postern::smtpd
