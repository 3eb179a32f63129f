#include "daemons/smtpc/transfer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/io/file.h"
#include "common/smtp/dot_stream.h"

namespace postern::smtpc {

namespace delivery = protocol::delivery;

namespace {

constexpr size_t kPieceOctets = 128u << 10;
// After the connection broke in the content: for a reply that came before, and is here already.
constexpr absl::Duration kLastWordsTimeout = absl::Seconds(2);

// The dialogue for one message. Each step returns false when it is over, with the results set.
class Dialogue {
 public:
  Dialogue(io::Loop& loop, Connection& connection, const Work& work,
           const config::Outbound& settings)
      : loop_(loop), connection_(connection), work_(work), settings_(settings) {}

  io::Task<Transferred> Run();

 private:
  io::Task<absl::StatusOr<ContentTraits>> ExamineContent();
  io::Task<bool> ChooseForm();
  io::Task<bool> SendEnvelope();
  io::Task<bool> ReadEnvelopeReplies();
  io::Task<bool> BeginData();
  io::Task<bool> SendContent();
  io::Task<void> ReadFinalReplies();
  io::Task<absl::Status> SendPieces(bool dots);
  io::Task<absl::Status> SendFile(smtp::DotEncoder* encoder, std::string& wire);
  io::Task<void> EndTransaction();
  void OnRcptReply(size_t i, const smtp::Reply& reply);
  void All(const smtp::Reply& reply);
  void Lost(const absl::Status& why);
  void Put(size_t i, delivery::Result result) { results_[i] = std::move(result); }
  delivery::Result Deferred(size_t i, std::string status, std::string reason) const;

  io::Loop& loop_;
  Connection& connection_;
  const Work& work_;
  const config::Outbound& settings_;
  Form form_;
  bool pipelined_data_ = false;
  std::vector<std::optional<delivery::Result>> results_;
  std::vector<size_t> asked_;     // recipients that can go in this form
  std::vector<size_t> accepted_;  // of these, whom the server takes the message for
  bool mail_refused_ = false;
  bool in_transaction_ = false;  // the server took MAIL or a RCPT
  Transferred done_;
};

delivery::Result Dialogue::Deferred(size_t i, std::string status, std::string reason) const {
  delivery::Result result;
  result.index = work_.job.recipients[i].index;
  result.status = std::move(status);
  result.diagnostic = std::move(reason);
  result.remote = connection_.remote().substr(0, protocol::kMaxDomain);
  return result;
}

// The whole message fares as `reply` says.
void Dialogue::All(const smtp::Reply& reply) {
  for (size_t i = 0; i < results_.size(); ++i) {
    if (!results_[i].has_value())
      Put(i, ResultFrom(work_.job.recipients[i].index, reply, connection_.remote(), form_.dsn));
  }
}

void Dialogue::Lost(const absl::Status& why) {
  if (done_.reason.empty()) done_.reason = std::string(Message(why));
  for (size_t i = 0; i < results_.size(); ++i) {
    if (!results_[i].has_value())
      Put(i, Deferred(i, "4.4.2", std::string(Message(why).substr(0, 512))));
  }
  done_.reusable = false;
}

io::Task<Transferred> Dialogue::Run() {
  results_.resize(work_.job.recipients.size());
  done_.reusable = true;
  if (co_await ChooseForm() && co_await SendEnvelope() && co_await ReadEnvelopeReplies() &&
      co_await BeginData() && co_await SendContent()) {
    co_await ReadFinalReplies();
  }
  for (std::optional<delivery::Result>& result : results_) {
    if (result.has_value()) done_.results.push_back(*std::move(result));
  }
  co_return std::move(done_);
}

io::Task<absl::StatusOr<ContentTraits>> Dialogue::ExamineContent() {
  if (!work_.descriptor.valid()) co_return Examine(work_.front);
  if (!MustBeExamined(work_.job, connection_.offers()))
    co_return ContentTraits{.eight_bit = work_.job.body != protocol::Body::kSevenBit};
  Examiner examiner;
  examiner.Add(work_.front);
  std::string piece(kPieceOctets, '\0');
  for (uint64_t at = 0; at < work_.job.content_octets;) {
    const size_t wanted =
        static_cast<size_t>(std::min<uint64_t>(work_.job.content_octets - at, piece.size()));
    CO_ASSIGN_OR_RETURN(const size_t got,
                        co_await io::ReadAt(loop_, work_.descriptor.get(), piece.data(), wanted,
                                            work_.job.content_offset + at, io::Deadline::Never()));
    if (got != wanted) co_return DataLoss("the queue's content is shorter than announced");
    examiner.Add(std::string_view(piece.data(), got));
    at += got;
  }
  co_return examiner.traits();
}

io::Task<bool> Dialogue::ChooseForm() {
  const absl::StatusOr<ContentTraits> traits = co_await ExamineContent();
  if (!traits.ok()) {
    Lost(traits.status());
    co_return false;
  }
  form_ = FormFor(work_.job, *traits, work_.octets(), connection_.offers());
  for (size_t i = 0; i < results_.size(); ++i) {
    if (form_.possible && CanGo(work_.job.recipients[i], form_)) {
      asked_.push_back(i);
      continue;
    }
    delivery::Result result = form_.possible
                                  ? Deferred(i, "5.6.7",
                                             "the address needs SMTPUTF8, which the server does "
                                             "not offer")
                                  : Deferred(i, form_.status, form_.reason);
    result.outcome = delivery::Outcome::kFailed;
    Put(i, std::move(result));
  }
  co_return !asked_.empty();
}

io::Task<bool> Dialogue::SendEnvelope() {
  if (!connection_.offers().pipelining) co_return true;  // one by one, in ReadEnvelopeReplies
  std::string commands = form_.mail + "\r\n";
  for (const size_t i : asked_) commands += RcptCommand(work_.job.recipients[i], form_) + "\r\n";
  // RFC 2920 §3.1: DATA may end the group. BDAT waits until it is known that somebody wants the
  // message.
  pipelined_data_ = !form_.chunking;
  if (pipelined_data_) commands += "DATA\r\n";
  const absl::Status sent = co_await connection_.Send(commands, settings_.command_timeout);
  if (!sent.ok()) {
    done_.try_elsewhere = true;
    Lost(sent);
  }
  co_return sent.ok();
}

io::Task<bool> Dialogue::ReadEnvelopeReplies() {
  const bool pipelining = connection_.offers().pipelining;
  const auto mail = pipelining ? co_await connection_.ReadReply(settings_.command_timeout)
                               : co_await connection_.Ask(form_.mail, settings_.command_timeout);
  if (!mail.ok()) {
    // A kept connection may have died in the meantime; a fresh one elsewhere may work.
    done_.try_elsewhere = !absl::IsDataLoss(mail.status());
    Lost(mail.status());
    co_return false;
  }
  in_transaction_ = mail->positive();
  mail_refused_ = !mail->positive();
  if (!mail->positive()) {
    All(*mail);
    done_.busy = done_.mail_deferred = mail->transient();
    done_.reason = mail->ToString();
    done_.reusable = mail->code != 421;
    if (!pipelining) co_return false;
  }
  for (const size_t i : asked_) {
    const auto reply = pipelining
                           ? co_await connection_.ReadReply(settings_.command_timeout)
                           : co_await connection_.Ask(RcptCommand(work_.job.recipients[i], form_),
                                                      settings_.command_timeout);
    if (!reply.ok()) {
      Lost(reply.status());
      co_return false;
    }
    OnRcptReply(i, *reply);
  }
  if (!accepted_.empty() || pipelined_data_) co_return true;
  co_await EndTransaction();  // nobody wants it
  co_return false;
}

void Dialogue::OnRcptReply(size_t i, const smtp::Reply& reply) {
  if (reply.positive()) in_transaction_ = true;
  if (results_[i].has_value()) return;  // MAIL was refused already
  if (reply.positive()) {
    accepted_.push_back(i);
    return;
  }
  // RFC 5321 §4.5.3.1.10: an old code for "too many recipients", which says nothing about this one.
  // (A full mailbox says 5.2.2.)
  const bool too_many = reply.code == 552 && !reply.enhanced.present();
  delivery::Result result =
      ResultFrom(work_.job.recipients[i].index, reply, connection_.remote(), form_.dsn);
  if (too_many) {
    result.outcome = delivery::Outcome::kDeferred;
    result.status = "4.5.3";
  }
  Put(i, std::move(result));
  if (reply.code != 421) return;
  done_.busy = true;
  done_.reason = reply.ToString();
  done_.reusable = false;
}

// The server forgets this message's sender and recipients, or the connection is not kept: the next
// message's MAIL would be refused ("nested MAIL"), and that message bounce for it.
io::Task<void> Dialogue::EndTransaction() {
  if (!in_transaction_ || !done_.reusable) co_return;
  const auto reply = co_await connection_.Ask("RSET", settings_.command_timeout);
  done_.reusable = reply.ok() && reply->positive();
}

io::Task<bool> Dialogue::BeginData() {
  if (form_.chunking) co_return true;
  const auto reply = pipelined_data_ ? co_await connection_.ReadReply(settings_.data_timeout)
                                     : co_await connection_.Ask("DATA", settings_.data_timeout);
  if (!reply.ok()) {
    Lost(reply.status());
    co_return false;
  }
  if (reply->positive()) {
    // It has seen no content: whatever it means, nothing was delivered.
    Lost(DataLoss(connection_.remote(), ": answered DATA with ", reply->code));
    co_return false;
  }
  if (!reply->intermediate()) {
    if (!accepted_.empty()) All(*reply);
    if (reply->code == 421) {
      done_.busy = true;
      done_.reason = reply->ToString();
      done_.reusable = false;
    }
    co_await EndTransaction();
    co_return false;
  }
  if (!accepted_.empty()) co_return true;
  // RFC 2920 §3.1: the server waits for content nobody gets; an empty message ends that. But if it
  // took recipients behind a refused MAIL, they would get that empty message: hang up instead.
  if (mail_refused_ && in_transaction_) {
    done_.reusable = false;
    co_return false;
  }
  const auto ended = co_await connection_.Ask(".", settings_.final_timeout);
  if (!ended.ok()) done_.reusable = false;
  co_return false;
}

// What came inline, then the descriptor's content.
io::Task<absl::Status> Dialogue::SendPieces(bool dots) {
  smtp::DotEncoder encoder;
  std::string wire;
  if (dots) {
    encoder.Append(work_.front, wire);
  } else {
    wire = "BDAT " + std::to_string(work_.octets()) + " LAST\r\n" + work_.front;
  }
  if (work_.descriptor.valid())
    CO_RETURN_IF_ERROR(co_await SendFile(dots ? &encoder : nullptr, wire));
  if (dots) encoder.Finish(wire);
  // Piece by piece, because the time-out is that of one (RFC 5321 §4.5.3.2.5).
  for (std::string_view left = wire; !left.empty();) {
    const std::string_view piece = left.substr(0, kPieceOctets);
    CO_RETURN_IF_ERROR(co_await connection_.Send(piece, settings_.data_timeout));
    left.remove_prefix(piece.size());
  }
  co_return absl::OkStatus();
}

// Sends `wire`, which goes before, and the file; `encoder` is null for BDAT.
io::Task<absl::Status> Dialogue::SendFile(smtp::DotEncoder* encoder, std::string& wire) {
  std::string piece(kPieceOctets, '\0');
  uint64_t left = work_.job.content_octets;
  uint64_t offset = work_.job.content_offset;
  while (left > 0) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(left, piece.size()));
    CO_ASSIGN_OR_RETURN(const size_t got,
                        co_await io::ReadAt(loop_, work_.descriptor.get(), piece.data(), wanted,
                                            offset, io::Deadline::Never()));
    if (got != wanted) co_return DataLoss("the queue's content is shorter than announced");
    if (encoder != nullptr) {
      encoder->Append(std::string_view(piece.data(), got), wire);
    } else {
      wire.append(piece, 0, got);
    }
    CO_RETURN_IF_ERROR(co_await connection_.Send(wire, settings_.data_timeout));
    wire.clear();
    offset += got;
    left -= got;
  }
  co_return absl::OkStatus();
}

// A connection that broke in the content stays without its end, so that the server cannot take a
// part for the whole.
io::Task<bool> Dialogue::SendContent() {
  const absl::Status sent = co_await SendPieces(!form_.chunking);
  if (sent.ok()) co_return true;
  done_.reusable = false;
  if (absl::IsUnavailable(sent) || absl::IsDeadlineExceeded(sent)) {
    // A server that refuses content before its end (too large) may say so and close.
    const auto words = co_await connection_.ReadReply(kLastWordsTimeout);
    if (words.ok() && (words->transient() || words->permanent())) All(*words);
  }
  Lost(sent);
  co_return false;
}

io::Task<void> Dialogue::ReadFinalReplies() {
  connection_.CountMessage();
  // LMTP answers once for each recipient it took (RFC 2033 §4.2), SMTP once for all.
  const size_t replies = connection_.lmtp() ? accepted_.size() : 1;
  for (size_t i = 0; i < replies; ++i) {
    const auto reply = co_await connection_.ReadReply(settings_.final_timeout);
    if (!reply.ok()) {
      Lost(reply.status());
      co_return;
    }
    if (reply->code == 421) {
      done_.busy = true;
      done_.reason = reply->ToString();
      done_.reusable = false;
    }
    if (!connection_.lmtp()) {
      for (const size_t at : accepted_)
        Put(at,
            ResultFrom(work_.job.recipients[at].index, *reply, connection_.remote(), form_.dsn));
    } else {
      delivery::Result result = ResultFrom(work_.job.recipients[accepted_[i]].index, *reply,
                                           connection_.remote(), form_.dsn);
      // LMTP is final delivery: there is nobody behind it who would send a notice.
      if (reply->positive()) result.outcome = delivery::Outcome::kDelivered;
      Put(accepted_[i], std::move(result));
    }
  }
}

}  // namespace

delivery::Result ResultFrom(uint32_t index, const smtp::Reply& reply, const std::string& remote,
                            bool dsn) {
  delivery::Result result;
  result.index = index;
  result.diagnostic = reply.ToString().substr(0, protocol::kMaxReplyText);
  result.remote_words = true;
  result.remote = remote.substr(0, protocol::kMaxDomain);
  if (reply.positive()) {
    result.outcome = dsn ? delivery::Outcome::kDelivered : delivery::Outcome::kRelayed;
  } else if (reply.permanent()) {
    result.outcome = delivery::Outcome::kFailed;
  } else {
    result.outcome = delivery::Outcome::kDeferred;
  }
  const char* fallback = reply.positive() ? "2.0.0" : reply.permanent() ? "5.0.0" : "4.0.0";
  result.status = reply.enhanced.present() ? reply.enhanced.ToString() : fallback;
  return result;
}

io::Task<Transferred> Transfer(io::Loop& loop, Connection& connection, const Work& work,
                               const config::Outbound& settings) {
  Dialogue dialogue(loop, connection, work, settings);
  co_return co_await dialogue.Run();
}

}  // namespace postern::smtpc
