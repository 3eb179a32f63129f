// The part of a session in which a message's content arrives: DATA and BDAT.
#include <algorithm>
#include <utility>

#include "common/log/log.h"
#include "common/mime/trace.h"
#include "daemons/smtpd/session.h"

namespace postern::smtpd {
namespace {

// How long qmgr may take for a commit before the client is told to try again (RFC 5321 §4.5.3.2.6
// gives the client's patience as ten minutes).
constexpr absl::Duration kCommitTimeout = absl::Minutes(5);

protocol::Body BodyOf(smtp::BodyType body) {
  switch (body) {
    case smtp::BodyType::kSevenBit:
      return protocol::Body::kSevenBit;
    case smtp::BodyType::kEightBit:
      return protocol::Body::kEightBit;
    case smtp::BodyType::kBinary:
      return protocol::Body::kBinary;
  }
  return protocol::Body::kSevenBit;
}

protocol::Ret RetOf(smtp::Return ret) {
  switch (ret) {
    case smtp::Return::kNotGiven:
      return protocol::Ret::kNotGiven;
    case smtp::Return::kFull:
      return protocol::Ret::kFull;
    case smtp::Return::kHeaders:
      return protocol::Ret::kHeaders;
  }
  return protocol::Ret::kNotGiven;
}

}  // namespace

protocol::submission::Submit Session::MakeSubmit() {
  mime::ReceivedField received;
  received.helo = helo_.empty() ? "unknown" : helo_;
  received.client_ip = client_.local_user.empty() ? client_.address.ip.ToString() : std::string();
  received.local_user = client_.local_user;
  received.by = host_.settings().hostname;
  received.protocol = {.extended = extended_, .utf8 = mail_->smtputf8};
  received.id = content_->id.ToString();
  if (recipients_.size() == 1) received.for_recipient = recipients_.front().address;
  received.unix_seconds = absl::ToUnixSeconds(host_.loop().WallTime());
  protocol::submission::Submit submit;
  submit.queue_id = content_->id.value();
  submit.sender = mail_->from.ToString();
  submit.envid = mail_->envid;
  submit.ret = RetOf(mail_->ret);
  submit.body = BodyOf(mail_->body.value_or(smtp::BodyType::kSevenBit));
  submit.smtputf8 = mail_->smtputf8;
  submit.announced_octets = mail_->size_octets.value_or(0);
  submit.client = protocol::Ip::From(client_.address.ip);
  submit.submitter = ClientText();
  submit.hold_reason = hold_reason_;
  submit.prepend = mime::FormatReceived(received);
  return submit;
}

absl::Status Session::BeginSubmission(smtp::Framing framing) {
  content_ = std::make_unique<Content>();
  if (framing == smtp::Framing::kDots || mail_->body != smtp::BodyType::kBinary) {
    content_->decoder.emplace(host_.settings().smtp.bare_newline == config::BareNewline::kReject
                                  ? smtp::BareNewlines::kReject
                                  : smtp::BareNewlines::kNormalise,
                              framing);
  }
  content_->id = host_.NextQueueId();
  if (recipients_.empty()) return absl::OkStatus();  // all discarded: swallowed
  service::QmgrHandler* qmgr = host_.PickQmgr();
  if (qmgr == nullptr) return Unavailable("no queue manager");
  content_->submission = std::make_unique<service::Submission>(*qmgr);
  return content_->submission->Begin(MakeSubmit(), recipients_);
}

io::Task<void> Session::OnData() {
  if (!mail_.has_value()) co_return Refuse(smtp::kNeedMail, "data");
  if (content_ != nullptr || bdat_failed_) co_return Refuse(smtp::kBdatUnderWay, "data");
  if (recipients_.empty() && discarded_recipients_ == 0) {
    co_return Refuse(refused_recipients_ > 0 ? smtp::kNoValidRecipients : smtp::kNeedRcpt, "data");
  }
  if (mail_->body == smtp::BodyType::kBinary) co_return Refuse(smtp::kBinaryNeedsBdat, "data");
  // RFC 2920 §3.1: DATA ends a group. What was sent behind it was sent without knowing whether it
  // is content or commands, and so must not be taken for either.
  if (PipelinedBehind()) {
    Refuse(smtp::kPipeliningEarly, "data");
    closing_ = true;
    co_return;
  }
  if (const absl::Status begun = BeginSubmission(smtp::Framing::kDots); !begun.ok()) {
    Refuse(FailureReply(begun), "data", Message(begun));
    ResetTransaction();
    co_return;
  }
  Say(smtp::kStartData);
  if (!co_await Flush() || !co_await ReadDataContent()) co_return;
  co_await FinishMessage();
}

io::Task<bool> Session::Decode(std::string_view& input) {
  // Pieces are gathered, so that one frame to qmgr carries what one receive brought.
  std::string content;
  content.reserve(input.size());
  bool ended = false;
  for (;;) {
    std::string_view piece;
    const smtp::DotDecoder::Outcome outcome = content_->decoder->Next(input, piece);
    if (outcome == smtp::DotDecoder::Outcome::kPiece) {
      content += piece;
      continue;
    }
    ended = outcome == smtp::DotDecoder::Outcome::kEnd;
    break;
  }
  co_await TakeContent(content);
  co_return ended;
}

// Waits for content; false (and the session ends) if none comes.
io::Task<bool> Session::ReceiveContent(std::string_view& input) {
  for (;;) {
    if (stream_.Unread().empty() && !co_await Flush()) co_return false;
    const io::Deadline until =
        std::min(host_.loop().After(host_.settings().smtp.data_timeout), ends_);
    const absl::StatusOr<std::string_view> received = co_await stream_.Receive(until);
    if (absl::IsAborted(received.status())) continue;  // told that we are stopping: later
    if (absl::IsDeadlineExceeded(received.status())) {
      Close(smtp::kTimeout);
      content_.reset();
      co_return false;
    }
    if (!received.ok() || received->empty()) {
      broken_ = true;
      co_return false;
    }
    input = *received;
    co_return true;
  }
}

// Reads up to the line with a dot alone; false if the client went away before.
io::Task<bool> Session::ReadDataContent() {
  for (;;) {
    std::string_view input;
    if (!co_await ReceiveContent(input)) co_return false;
    const size_t all = input.size();
    const bool ended = co_await Decode(input);
    stream_.Consume(all - input.size());
    if (ended) co_return true;
  }
}

// Passes content on, unless the message is lost already: then it is only counted, so that the
// client hears why at the end.
io::Task<void> Session::TakeContent(std::string_view content) {
  Content& message = *content_;
  message.octets += content.size();
  message.header.Scan(content);
  if (message.submission == nullptr || !message.failure.ok()) co_return;
  if (ContentFault().has_value()) {
    message.submission->Cancel();
    message.failure = absl::FailedPreconditionError("the content is refused");
    co_return;
  }
  const io::Deadline until = host_.loop().After(kCommitTimeout);
  message.failure = co_await message.submission->Write(content, until);
}

// Why this content cannot be accepted, as far as it is known.
std::optional<smtp::Reply> Session::ContentFault() const {
  const config::Smtp& settings = host_.settings().smtp;
  const Content& message = *content_;
  if (settings.max_message_octets > 0 && message.octets > settings.max_message_octets)
    return smtp::kMessageTooBig.Get();
  if (settings.max_header_octets > 0 &&
      message.header.octets() > static_cast<uint64_t>(settings.max_header_octets)) {
    return smtp::kHeaderTooBig.Get();
  }
  if (message.header.received_fields() > settings.max_hops) return smtp::kTooManyHops.Get();
  if (message.decoder.has_value()) {
    if (message.decoder->rejected()) return smtp::kBareNewline.Get();
    if (message.decoder->has_nul()) return smtp::kNulOctet.Get();
  }
  return std::nullopt;
}

smtp::Reply Session::FailureReply(const absl::Status& why) const {
  if (content_ != nullptr && content_->submission != nullptr) {
    const protocol::ReplyText& refusal = content_->submission->refusal();
    if (refusal.code != 0) return ToReply(refusal);
  }
  if (absl::IsResourceExhausted(why)) return smtp::kNoSpace.Get();
  return smtp::kLocalTrouble.Get();
}

io::Task<void> Session::FinishMessage() {
  Content& message = *content_;
  ++counters_.messages;
  if (const std::optional<smtp::Reply> fault = ContentFault(); fault.has_value()) {
    if (message.decoder.has_value() && message.decoder->rejected()) {
      log::Event(log::Severity::kWarning, log::kIncidentSmuggling)
          .Str("client", ClientText())
          .Str("reason", "bare CR or LF in content");
    }
    Refuse(*fault, "content", fault->text);
    ResetTransaction();
    co_return;
  }
  absl::Status committed = message.failure;
  if (committed.ok() && message.submission != nullptr) {
    committed = co_await message.submission->Finish(host_.loop().After(kCommitTimeout));
  }
  if (committed.ok()) {
    if (message.submission == nullptr) {
      log::Event(log::Severity::kInfo, log::kMessageDiscarded)
          .Id(message.id)
          .Str("client", ClientText())
          .Str("reason", "policy");
    }
    Say(smtp::Accepted(message.id.ToString()));
  } else {
    Refuse(FailureReply(committed), "content", Message(committed));
  }
  ResetTransaction();
}

io::Task<void> Session::OnBdat(const smtp::Bdat& bdat) {
  // Whatever is wrong, the chunk follows and must be read (RFC 3030 §2).
  std::optional<smtp::Reply> refusal;
  if (!mail_.has_value()) {
    refusal = smtp::kNeedMail.Get();
  } else if (bdat_failed_) {
    refusal = smtp::kBdatUnderWay.Get();
  } else if (recipients_.empty() && discarded_recipients_ == 0) {
    refusal = (refused_recipients_ > 0 ? smtp::kNoValidRecipients : smtp::kNeedRcpt).Get();
  } else if (content_ == nullptr) {
    if (const absl::Status begun = BeginSubmission(smtp::Framing::kChunks); !begun.ok())
      refusal = FailureReply(begun);
  }
  if (!co_await ReadBdatChunk(bdat.octets, !refusal.has_value())) co_return;
  if (!refusal.has_value()) {
    if (bdat.last) {
      if (content_->decoder.has_value()) co_await TakeContent(content_->decoder->Finish());
      co_return co_await FinishMessage();
    }
    refusal = ContentFault();
    if (!refusal.has_value() && !content_->failure.ok()) refusal = FailureReply(content_->failure);
  }
  if (refusal.has_value()) {
    Refuse(*refusal, "bdat", refusal->text);
    content_.reset();
    bdat_failed_ = mail_.has_value();
    co_return;
  }
  Say(smtp::kChunkOk.Saying(std::to_string(bdat.octets) + " octets received"));
}

io::Task<bool> Session::ReadBdatChunk(uint64_t octets, bool keep) {
  while (octets > 0) {
    std::string_view received;
    if (!co_await ReceiveContent(received)) co_return false;
    std::string_view piece =
        received.substr(0, static_cast<size_t>(std::min<uint64_t>(octets, received.size())));
    const size_t taken = piece.size();
    octets -= taken;
    if (keep && content_->decoder.has_value()) {
      co_await Decode(piece);
    } else if (keep) {
      co_await TakeContent(piece);
    }
    stream_.Consume(taken);
  }
  co_return true;
}

}  // namespace postern::smtpd
