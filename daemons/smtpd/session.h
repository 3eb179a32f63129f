// daemons/smtpd/session.h — one SMTP dialogue (RFC 5321), from greeting to goodbye.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ip.h"
#include "common/base/queue_id.h"
#include "common/config/settings.h"
#include "common/io/loop.h"
#include "common/io/stream.h"
#include "common/ipc/protocol/smtpd_policyd.h"
#include "common/mime/header_scanner.h"
#include "common/service/submission.h"
#include "common/smtp/command.h"
#include "common/smtp/dot_stream.h"
#include "common/smtp/line_splitter.h"
#include "common/smtp/replies.h"

namespace postern::smtpd {

// What sessions need of the process around them.
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
  // The queue manager for the next message; nullptr: none is there.
  virtual service::QmgrHandler* PickQmgr() = 0;
  virtual QueueId NextQueueId() = 0;
  virtual bool stopping() const = 0;
};

struct Client {
  SocketAddress address;  // kNone family: a local user
  std::string local_user;
};

class Session {
 public:
  struct Counters {
    uint64_t commands = 0;
    uint64_t messages = 0;
    uint64_t errors = 0;
  };

  // All must outlive the session.
  Session(SessionHost& host, io::ByteStream& stream, Client client);
  ~Session();

  // Runs the dialogue to its end; the stream is then to be closed. Never fails: what went wrong was
  // said to the client or cannot be said any more.
  io::Task<void> Serve();

  const Counters& counters() const { return counters_; }
  bool accepted_by_policy() const { return accepted_by_policy_; }
  // Whether the session waits for a command with nothing in hand, so that it may be ended at once.
  bool idle() const { return waiting_for_command_ && !mail_.has_value(); }

 private:
  struct Transaction;

  // The dialogue.
  io::Task<bool> Greet();
  io::Task<bool> NextLine(std::string_view& line);
  io::Task<void> Handle(std::string_view line);
  io::Task<void> OnLineFault(smtp::LineSplitter::Outcome fault);
  void OnHello(const smtp::Hello& hello);
  void OnMail(const smtp::Mail& mail);
  io::Task<void> OnRcpt(const smtp::Rcpt& rcpt);
  io::Task<void> OnData();
  io::Task<void> OnBdat(const smtp::Bdat& bdat);
  void OnCommandError(const smtp::CommandError& error);
  std::vector<std::string> Keywords() const;

  // The content of a message (session_content.cc).
  absl::Status BeginSubmission(smtp::Framing framing);
  protocol::submission::Submit MakeSubmit();
  // Decodes what is in `input` and passes it on; true at the end of DATA.
  io::Task<bool> Decode(std::string_view& input);
  io::Task<bool> ReceiveContent(std::string_view& input);
  io::Task<bool> ReadDataContent();
  io::Task<bool> ReadBdatChunk(uint64_t octets, bool keep);
  io::Task<void> TakeContent(std::string_view content);
  std::optional<smtp::Reply> ContentFault() const;
  io::Task<void> FinishMessage();
  smtp::Reply FailureReply(const absl::Status& why) const;

  // Replies gather here and leave before the session waits.
  void Say(const smtp::Reply& reply);
  void Say(const smtp::FixedReply& reply) { Say(reply.Get()); }
  void Refuse(const smtp::Reply& reply, std::string_view stage, std::string_view reason);
  void Refuse(const smtp::FixedReply& reply, std::string_view stage, std::string_view reason = {}) {
    Refuse(reply.Get(), stage, reason);
  }
  io::Task<bool> Flush();
  void Close(const smtp::FixedReply& reply);
  void ResetTransaction();
  bool PipelinedBehind() const;
  static smtp::Reply ToReply(const protocol::ReplyText& text);
  io::Deadline CommandDeadline() const;
  std::string ClientText() const;

  SessionHost& host_;
  io::ByteStream& stream_;
  const Client client_;
  const io::Deadline ends_;
  smtp::LineSplitter splitter_;
  std::string out_;
  bool closing_ = false;
  bool broken_ = false;  // nothing can be said any more
  bool accepted_by_policy_ = false;
  bool waiting_for_command_ = false;
  size_t line_octets_ = 0;  // of the line being handled, in the stream

  std::string helo_;
  bool greeted_ = false;  // EHLO or HELO was said
  bool extended_ = false;

  std::optional<smtp::Mail> mail_;
  std::vector<protocol::submission::Recipient> recipients_;
  size_t refused_recipients_ = 0;
  size_t discarded_recipients_ = 0;
  std::string hold_reason_;

  // While content comes.
  struct Content {
    QueueId id;
    std::unique_ptr<service::Submission> submission;  // nullptr: swallowed
    mime::HeaderScanner header;
    std::optional<smtp::DotDecoder> decoder;  // none: BINARYMIME, octets as they are
    uint64_t octets = 0;
    absl::Status failure;
  };
  std::unique_ptr<Content> content_;
  bool bdat_failed_ = false;  // RFC 3030 §4.2: what follows a failed BDAT fails, until RSET
  Counters counters_;
};

}  // namespace postern::smtpd
