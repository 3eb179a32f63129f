#include "daemons/smtpc/transfer.h"

#include <algorithm>
#include <utility>

#include "common/io/file.h"
#include "common/smtp/dot_stream.h"

namespace postern::smtpc {

namespace delivery = protocol::delivery;

namespace {

constexpr size_t kPieceOctets = 128u << 10;

// The dialogue for one message. Each step returns false when it is over, with the results set.
class Dialogue {
 public:
  Dialogue(io::Loop& loop, Connection& connection, const Work& work,
           const config::Outbound& settings)
      : loop_(loop), connection_(connection), work_(work), settings_(settings) {}

  io::Task<Transferred> Run();

 private:
  io::Task<bool> SendEnvelope();
  io::Task<bool> ReadEnvelopeReplies();
  io::Task<bool> BeginData();
  io::Task<bool> SendContent();
  io::Task<void> ReadFinalReplies();
  io::Task<absl::Status> SendPieces(bool dots);
  void All(const smtp::Reply& reply);
  void Accepted(const smtp::Reply& reply);
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
  std::vector<size_t> accepted_;  // recipients RCPT was answered well for
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
  done_.reason = std::string(Message(why));
  for (size_t i = 0; i < results_.size(); ++i) {
    if (!results_[i].has_value()) Put(i, Deferred(i, "4.4.2", done_.reason.substr(0, 512)));
  }
  done_.reusable = false;
}

io::Task<Transferred> Dialogue::Run() {
  results_.resize(work_.job.recipients.size());
  // Large content is not looked at beyond what came with the job: its declared body type counts.
  ContentTraits traits = Examine(work_.front);
  if (work_.descriptor.valid() && work_.job.body != protocol::Body::kSevenBit)
    traits.eight_bit = true;
  form_ = FormFor(work_.job, traits, work_.octets(), connection_.offers());
  if (!form_.possible) {
    for (size_t i = 0; i < results_.size(); ++i) {
      delivery::Result result = Deferred(i, form_.status, form_.reason);
      result.outcome = delivery::Outcome::kFailed;
      Put(i, std::move(result));
    }
    done_.reusable = true;
  } else {
    done_.reusable = true;
    if (co_await SendEnvelope() && co_await ReadEnvelopeReplies() && co_await BeginData() &&
        co_await SendContent()) {
      co_await ReadFinalReplies();
    }
  }
  for (std::optional<delivery::Result>& result : results_) {
    if (result.has_value()) done_.results.push_back(*std::move(result));
  }
  co_return std::move(done_);
}

io::Task<bool> Dialogue::SendEnvelope() {
  if (!connection_.offers().pipelining) co_return true;  // one by one, in ReadEnvelopeReplies
  std::string commands = form_.mail + "\r\n";
  for (const delivery::JobRecipient& recipient : work_.job.recipients)
    commands += RcptCommand(recipient, form_) + "\r\n";
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
  if (!mail->positive()) {
    All(*mail);
    done_.busy = mail->transient();
    done_.reason = mail->ToString();
    done_.reusable = mail->code != 421;
    if (!pipelining) co_return false;
  }
  for (size_t i = 0; i < results_.size(); ++i) {
    const auto reply = pipelining
                           ? co_await connection_.ReadReply(settings_.command_timeout)
                           : co_await connection_.Ask(RcptCommand(work_.job.recipients[i], form_),
                                                      settings_.command_timeout);
    if (!reply.ok()) {
      Lost(reply.status());
      co_return false;
    }
    if (results_[i].has_value()) continue;  // MAIL was refused already
    if (reply->positive()) {
      accepted_.push_back(i);
    } else {
      Put(i, ResultFrom(work_.job.recipients[i].index, *reply, connection_.remote(), form_.dsn));
      if (reply->code == 421) {
        done_.busy = true;
        done_.reason = reply->ToString();
        done_.reusable = false;
      }
    }
  }
  if (!accepted_.empty() || pipelined_data_) co_return true;
  // Nobody wants it: the transaction is ended for the next message.
  if (done_.reusable && !(co_await connection_.Ask("RSET", settings_.command_timeout)).ok())
    done_.reusable = false;
  co_return false;
}

io::Task<bool> Dialogue::BeginData() {
  if (form_.chunking) co_return true;
  const auto reply = pipelined_data_ ? co_await connection_.ReadReply(settings_.data_timeout)
                                     : co_await connection_.Ask("DATA", settings_.data_timeout);
  if (!reply.ok()) {
    Lost(reply.status());
    co_return false;
  }
  if (!reply->intermediate()) {
    if (!accepted_.empty()) All(*reply);
    if (reply->code == 421) done_.reusable = false;
    co_return false;
  }
  if (!accepted_.empty()) co_return true;
  // RFC 2920 §3.1: the server waits for content nobody gets; an empty message ends that.
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
  if (work_.descriptor.valid()) {
    std::string piece(kPieceOctets, '\0');
    uint64_t left = work_.job.content_octets;
    uint64_t offset = work_.job.content_offset;
    while (left > 0) {
      const size_t wanted = static_cast<size_t>(std::min<uint64_t>(left, piece.size()));
      CO_ASSIGN_OR_RETURN(const size_t got,
                          co_await io::ReadAt(loop_, work_.descriptor.get(), piece.data(), wanted,
                                              offset, io::Deadline::Never()));
      if (got != wanted) co_return DataLoss("the queue's content is shorter than announced");
      if (dots) {
        encoder.Append(piece.substr(0, got), wire);
      } else {
        wire.append(piece, 0, got);
      }
      CO_RETURN_IF_ERROR(co_await connection_.Send(wire, settings_.data_timeout));
      wire.clear();
      offset += got;
      left -= got;
    }
  }
  if (dots) encoder.Finish(wire);
  if (wire.empty()) co_return absl::OkStatus();
  co_return co_await connection_.Send(wire, settings_.data_timeout);
}

io::Task<bool> Dialogue::SendContent() {
  const absl::Status sent = co_await SendPieces(!form_.chunking);
  if (!sent.ok()) Lost(sent);
  co_return sent.ok();
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
