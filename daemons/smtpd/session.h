// daemons/smtpd/session.h — one SMTP dialogue (RFC 5321), from greeting to goodbye.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/queue_id.h"
#include "common/io/stream.h"
#include "common/mime/header_scanner.h"
#include "common/smtp/command.h"
#include "common/smtp/dot_stream.h"
#include "common/smtp/line_splitter.h"
#include "common/smtp/replies.h"
#include "daemons/smtpd/session_host.h"

namespace postern::smtpd {

// What policyd or qmgr wants said. Either may be in an attacker's hands: a refusal is never said as
// a success, nor the other way round, whatever its code; `otherwise` is said then.
smtp::Reply RefusalReply(const protocol::ReplyText& text, const smtp::FixedReply& otherwise);
smtp::Reply AcceptanceReply(const protocol::ReplyText& text, const smtp::FixedReply& otherwise);

class Session {
 public:
  struct Counters {
    uint64_t commands = 0;
    uint64_t transactions = 0;  // MAIL commands, as RFC 9422 counts them
    uint64_t messages = 0;      // whose content has come to its end
    uint64_t errors = 0;        // the client's, of which it may make only so many
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
  // Has the client hear 421 at `until`, if it is still there; a session that waits must be
  // interrupted to see it.
  void EndBy(io::Deadline until) { ends_ = std::min(ends_, until); }

 private:
  friend struct SessionPeer;  // the test that measures the frames

  // The dialogue.
  io::Task<bool> Greet();
  io::Task<bool> AwaitSilence(absl::Duration delay);
  io::Task<bool> NextLine(std::string_view& line);
  io::Task<void> Handle(std::string_view line);
  void OnLineFault(smtp::LineSplitter::Outcome fault);
  void HandleAtOnce(const smtp::Command& command);
  bool MayPipelineBehind(const smtp::Command& command) const;
  void OnHello(const smtp::Hello& hello);
  void OnHelp(const smtp::Help& help);
  void OnMail(const smtp::Mail& mail);
  io::Task<void> OnRcpt(const smtp::Rcpt& rcpt);
  io::Task<void> OnData();
  io::Task<void> OnBdat(const smtp::Bdat& bdat);
  void TakeVerdict(const smtp::Rcpt& rcpt, std::string address,
                   const protocol::policy::Verdict& verdict);
  void OnCommandError(std::string_view line, const smtp::CommandError& error);
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
  // Why DATA or BDAT cannot come now; nullptr: it can.
  const smtp::FixedReply* NoContentNow() const;
  // Why this content cannot be accepted, as far as it is known; nullptr: nothing is wrong yet.
  const smtp::FixedReply* ContentFault() const;
  void RefuseContent(const smtp::FixedReply& fault, std::string_view stage);
  io::Task<void> FinishMessage();
  smtp::Reply FailureReply(const absl::Status& why) const;

  // Replies gather here and leave before the session waits.
  void Say(const smtp::Reply& reply) { smtp::AppendReply(reply, out_); }
  void Say(const smtp::FixedReply& reply) { reply.AppendTo(out_); }
  // Says, logs and counts a 4yz or 5yz. `recipient`: the one refused.
  void Refuse(const smtp::Reply& reply, std::string_view stage, std::string_view reason,
              std::string_view recipient = {});
  void Refuse(const smtp::FixedReply& reply, std::string_view stage, std::string_view reason = {}) {
    Refuse(reply.Get(), stage, reason);
  }
  bool CountsAsError(const smtp::Reply& reply) const;
  io::Task<bool> Flush();
  void Close(const smtp::FixedReply& reply);
  void ResetTransaction();
  bool PipelinedBehind() const;
  bool OutOfTime() const { return host_.loop().Now() >= ends_; }
  std::string ClientText() const;

  SessionHost& host_;
  io::ByteStream& stream_;
  const Client client_;
  io::Deadline ends_;
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
  size_t discarded_recipients_ = 0;  // accepted, and to be delivered nowhere
  size_t deferrals_ = 0;             // 4yz said
  std::string hold_reason_;

  // While content comes.
  struct Content {
    QueueId id;
    std::unique_ptr<MessageSink> sink;  // nullptr: swallowed
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
