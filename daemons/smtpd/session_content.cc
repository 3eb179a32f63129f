// The part of a session in which a message's content arrives: DATA and BDAT.
#include <algorithm>
#include <utility>

#include "common/log/log.h"
#include "common/mime/trace.h"
#include "common/smtp/timeouts.h"
#include "daemons/smtpd/session.h"

namespace postern::smtpd {
namespace {

// How long qmgr may take for a commit before the client is told to try again: while it still
// listens.
constexpr absl::Duration kCommitTimeout = absl::Minutes(5);
static_assert(std::chrono::minutes(5) < smtp::kDataTerminationTimeout);

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
  received.client_ip = client_.local() ? std::string() : client_.address.ip.ToString();
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
  ASSIGN_OR_RETURN(content_->sink, host_.Submit(MakeSubmit(), recipients_));
  return absl::OkStatus();
}

const smtp::FixedReply* Session::NoContentNow() const {
  if (!mail_.has_value()) return &smtp::kNeedMail;
  if (bdat_failed_) return &smtp::kBdatUnderWay;
  if (recipients_.empty() && discarded_recipients_ == 0)
    return refused_recipients_ > 0 ? &smtp::kNoValidRecipients : &smtp::kNeedRcpt;
  return nullptr;
}

io::Task<void> Session::OnData() {
  // RFC 2920 §3.1: DATA ends a group. What was sent behind it was sent without knowing whether it
  // is content or commands, and so must not be taken for either. Of a program of this machine it is
  // content, if there may be any.
  const bool ahead = PipelinedBehind();
  const smtp::FixedReply* refusal = NoContentNow();
  if (refusal == nullptr && content_ != nullptr) refusal = &smtp::kBdatUnderWay;
  if (refusal == nullptr && mail_->body == smtp::BodyType::kBinary)
    refusal = &smtp::kBinaryNeedsBdat;
  if (refusal == nullptr && ahead && !client_.local()) refusal = &smtp::kPipeliningEarly;
  if (refusal != nullptr) {
    Refuse(*refusal, "data");
    closing_ |= ahead;
    co_return;
  }
  if (const absl::Status begun = BeginSubmission(smtp::Framing::kDots); !begun.ok()) {
    Refuse(FailureReply(begun), "data", Message(begun));
    ResetTransaction();
    closing_ |= ahead;
    co_return;
  }
  Say(smtp::kStartData);
  if (!co_await ReadDataContent()) co_return;
  co_await FinishMessage();
}

io::Task<bool> Session::Decode(std::string_view& input) {
  // One frame to qmgr carries what one receive brought: mostly one piece, which then goes as it is.
  std::string_view content;
  std::string joined;
  bool ended = false;
  for (;;) {
    std::string_view piece;
    const smtp::DotDecoder::Outcome outcome = content_->decoder->Next(input, piece);
    if (outcome != smtp::DotDecoder::Outcome::kPiece) {
      ended = outcome == smtp::DotDecoder::Outcome::kEnd;
      break;
    }
    if (content.empty()) {
      content = piece;
      continue;
    }
    if (joined.empty()) {
      joined.reserve(content.size() + piece.size() + input.size());
      joined = content;
    }
    joined += piece;
    content = joined;
  }
  co_await TakeContent(content);
  co_return ended;
}

// Waits for content; false (and the session ends) if none comes.
io::Task<bool> Session::ReceiveContent(std::string_view& input) {
  for (;;) {
    if (stream_.Unread().empty() && !co_await Flush()) co_return false;
    if (OutOfTime()) {  // Receive does not look at the time while octets are at hand
      Close(smtp::kTimeout);
      content_.reset();
      co_return false;
    }
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
  if (message.sink == nullptr || !message.failure.ok()) co_return;
  if (ContentFault() != nullptr) {
    message.sink->Cancel();
    message.failure = absl::FailedPreconditionError("the content is refused");
    co_return;
  }
  if (content.empty()) co_return;
  const io::Deadline until = host_.loop().After(kCommitTimeout);
  message.failure = co_await message.sink->Write(content, until);
}

const smtp::FixedReply* Session::ContentFault() const {
  const config::Smtp& settings = host_.settings().smtp;
  const Content& message = *content_;
  if (settings.max_message_octets > 0 && message.octets > settings.max_message_octets)
    return &smtp::kMessageTooBig;
  if (settings.max_header_octets > 0 &&
      message.header.octets() > static_cast<uint64_t>(settings.max_header_octets)) {
    return &smtp::kHeaderTooBig;
  }
  if (message.header.received_fields() > settings.max_hops) return &smtp::kTooManyHops;
  if (message.decoder.has_value()) {
    if (message.decoder->rejected()) return &smtp::kBareNewline;
    if (message.decoder->has_nul()) return &smtp::kNulOctet;
  }
  return nullptr;
}

void Session::RefuseContent(const smtp::FixedReply& fault, std::string_view stage) {
  if (&fault == &smtp::kBareNewline) {
    log::Event(log::Severity::kWarning, log::kIncidentSmuggling)
        .Id(content_->id)
        .Str("client", ClientText())
        .Str("reason", "bare CR or LF in content");
  }
  Refuse(fault, stage, fault.text);
}

smtp::Reply Session::FailureReply(const absl::Status& why) const {
  const smtp::FixedReply& trouble =
      absl::IsResourceExhausted(why) ? smtp::kNoSpace : smtp::kLocalTrouble;
  if (content_ == nullptr || content_->sink == nullptr) return trouble.Get();
  return RefusalReply(content_->sink->refusal(), trouble);
}

io::Task<void> Session::FinishMessage() {
  Content& message = *content_;
  ++counters_.messages;
  if (const smtp::FixedReply* fault = ContentFault(); fault != nullptr) {
    RefuseContent(*fault, "content");
    ResetTransaction();
    co_return;
  }
  absl::Status committed = message.failure;
  if (committed.ok() && message.sink != nullptr)
    committed = co_await message.sink->Finish(host_.loop().After(kCommitTimeout));
  if (committed.ok()) {
    if (message.sink == nullptr) {
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
  if (const smtp::FixedReply* wrong = NoContentNow(); wrong != nullptr) {
    refusal = wrong->Get();
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
    const smtp::FixedReply* fault = ContentFault();
    if (fault == nullptr && content_->failure.ok()) {
      co_return Say(smtp::kChunkOk.Saying(std::to_string(bdat.octets) + " octets received"));
    }
    if (fault != nullptr) {
      RefuseContent(*fault, "bdat");
    } else {
      Refuse(FailureReply(content_->failure), "bdat", Message(content_->failure));
    }
  } else {
    Refuse(*refusal, "bdat", refusal->text);
  }
  // The rest of the chunks fail, too; with the last one the message is over.
  content_.reset();
  bdat_failed_ = mail_.has_value();
  if (bdat.last) ResetTransaction();
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
