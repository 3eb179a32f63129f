#include "daemons/smtpd/session.h"

#include <algorithm>
#include <utility>

#include "common/log/log.h"
#include "common/smtp/limits.h"

namespace postern::smtpd {
namespace {

using Kind = smtp::CommandError::Kind;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

constexpr absl::Duration kReplyTimeout = absl::Minutes(5);

}  // namespace

Session::Session(SessionHost& host, io::ByteStream& stream, Client client)
    : host_(host),
      stream_(stream),
      client_(std::move(client)),
      ends_(host.loop().After(host.settings().smtp.session_limit)),
      splitter_(smtp::kMaxCommandLine) {}

Session::~Session() = default;

smtp::Reply Session::ToReply(const protocol::ReplyText& text) {
  const Parsed<smtp::EnhancedCode> enhanced = smtp::EnhancedCode::Parse(text.enhanced);
  return {.code = text.code,
          .enhanced = enhanced.has_value() ? *enhanced : smtp::EnhancedCode(),
          .text = text.text};
}

std::string Session::ClientText() const {
  return client_.local_user.empty() ? client_.address.ip.ToString() : "user " + client_.local_user;
}

io::Deadline Session::CommandDeadline() const {
  return std::min(host_.loop().After(host_.settings().smtp.command_timeout), ends_);
}

void Session::Say(const smtp::Reply& reply) { smtp::AppendReply(reply, out_); }

void Session::Refuse(const smtp::Reply& reply, std::string_view stage, std::string_view reason) {
  Say(reply);
  ++counters_.errors;
  log::Event(reply.permanent() ? log::Severity::kInfo : log::Severity::kNotice,
             reply.permanent() ? log::kSmtpRejected : log::kSmtpDeferred)
      .Str("client", ClientText())
      .Str("stage", stage)
      .Int("code", reply.code)
      .Str("status", reply.enhanced.ToString())
      .Str("reason", reason.empty() ? std::string_view(reply.text) : reason);
  if (counters_.errors > static_cast<uint64_t>(host_.settings().smtp.max_errors) && !closing_)
    Close(smtp::kTooManyErrors);
}

void Session::Close(const smtp::FixedReply& reply) {
  Say(reply);
  closing_ = true;
}

// Sends what gathered; false if the client is gone.
io::Task<bool> Session::Flush() {
  if (out_.empty()) co_return !broken_;
  const std::string replies = std::exchange(out_, {});
  if (!(co_await stream_.Send(replies, host_.loop().After(kReplyTimeout))).ok()) broken_ = true;
  co_return !broken_;
}

bool Session::PipelinedBehind() const {
  return splitter_.pending_octets() > 0 || !stream_.Unread().empty();
}

void Session::ResetTransaction() {
  mail_.reset();
  recipients_.clear();
  refused_recipients_ = 0;
  discarded_recipients_ = 0;
  hold_reason_.clear();
  content_.reset();
  bdat_failed_ = false;
}

io::Task<void> Session::Serve() {
  if (co_await Greet()) {
    std::string_view line;
    while (!closing_ && !broken_ && co_await NextLine(line)) co_await Handle(line);
  }
  content_.reset();  // a message cut off is taken back
  if (!broken_) co_await Flush();
}

io::Task<bool> Session::Greet() {
  const config::Smtp& settings = host_.settings().smtp;
  // Listening from now on: whoever speaks before the greeting is no mail server (a worm, a web
  // browser, or someone who smuggles).
  IgnoreStatus((co_await stream_.Receive(host_.loop().Now())).status(), "only arms the receive");
  const protocol::policy::ConnectQuestion question{.client =
                                                       protocol::Ip::From(client_.address.ip)};
  const absl::StatusOr<protocol::policy::Verdict> verdict = co_await host_.AskConnect(question);
  if (!verdict.ok()) {
    Refuse(smtp::Reply{421, {4, 3, 0}, std::string(smtp::kLocalTrouble.text)}, "connect",
           Message(verdict.status()));
    co_return false;
  }
  if (verdict->decision != protocol::policy::Decision::kAccept) {
    Refuse(ToReply(verdict->reply), "connect", verdict->reason);
    co_return false;
  }
  accepted_by_policy_ = true;
  if (settings.greeting_delay > absl::ZeroDuration() && stream_.Unread().empty()) {
    const auto early = co_await stream_.Receive(host_.loop().After(settings.greeting_delay));
    if (early.ok() && early->empty()) co_return false;  // left already
  }
  if (!stream_.Unread().empty()) {
    Refuse(smtp::kEarlyTalker, "connect");
    co_return false;
  }
  if (host_.stopping()) {
    Close(smtp::kShuttingDown);
    co_return false;
  }
  Say(smtp::Greeting(host_.settings().hostname,
                     settings.banner.empty() ? "ESMTP" : settings.banner));
  co_return true;
}

// The next command line; false when there is none any more. Replies leave before the wait.
io::Task<bool> Session::NextLine(std::string_view& line) {
  for (;;) {
    const std::string_view all = stream_.Unread();
    std::string_view input = all;
    const smtp::LineSplitter::Outcome outcome = splitter_.Next(input, line);
    if (outcome == smtp::LineSplitter::Outcome::kLine) {
      // The line may lie in the stream's buffer: it is consumed when it has been handled.
      line_octets_ = all.size() - input.size();
      co_return true;
    }
    stream_.Consume(all.size() - input.size());
    if (outcome != smtp::LineSplitter::Outcome::kNeedMore) {
      co_await OnLineFault(outcome);
      if (closing_) co_return false;
      continue;
    }
    if (!co_await Flush()) co_return false;
    if (host_.stopping() && !mail_.has_value()) {
      Close(smtp::kShuttingDown);
      co_return false;
    }
    waiting_for_command_ = true;
    const absl::StatusOr<std::string_view> received = co_await stream_.Receive(CommandDeadline());
    waiting_for_command_ = false;
    if (absl::IsAborted(received.status())) continue;  // told to look whether we are stopping
    if (absl::IsDeadlineExceeded(received.status())) {
      Close(smtp::kTimeout);
      co_return false;
    }
    if (!received.ok() || received->empty()) {
      broken_ = true;
      co_return false;
    }
  }
}

io::Task<void> Session::OnLineFault(smtp::LineSplitter::Outcome fault) {
  ++counters_.commands;
  if (fault == smtp::LineSplitter::Outcome::kTooLong) {
    Refuse(smtp::kLineTooLong, "command");
  } else {
    Refuse(smtp::kBareNewlineInCommand, "command");
    closing_ = true;
  }
  co_return;
}

io::Task<void> Session::Handle(std::string_view line) {
  ++counters_.commands;
  const smtp::CommandContext context{.extended = extended_,
                                     .smtputf8 = mail_.has_value() && mail_->smtputf8};
  const std::expected<smtp::Command, smtp::CommandError> command =
      smtp::ParseCommand(line, context);
  stream_.Consume(std::exchange(line_octets_, 0));
  if (!command.has_value()) {
    OnCommandError(command.error());
    co_return;
  }
  if (const auto* rcpt = std::get_if<smtp::Rcpt>(&*command)) {
    co_await OnRcpt(*rcpt);
  } else if (std::holds_alternative<smtp::Data>(*command)) {
    co_await OnData();
  } else if (const auto* bdat = std::get_if<smtp::Bdat>(&*command)) {
    co_await OnBdat(*bdat);
  } else {
    std::visit(Overloaded{[&](const smtp::Hello& hello) { OnHello(hello); },
                          [&](const smtp::Mail& mail) { OnMail(mail); },
                          [&](const smtp::Rset&) {
                            ResetTransaction();
                            Say(smtp::kFlushed);
                          },
                          [&](const smtp::Noop&) { Say(smtp::kOk); },
                          [&](const smtp::Quit&) { Close(smtp::kGoodbye); },
                          [&](const smtp::Help&) { Say(smtp::kHelp); },
                          [&](const smtp::Vrfy&) { Say(smtp::kVrfy); },
                          [&](const smtp::Expn&) { Refuse(smtp::kExpnOff, "expn"); },
                          [&](const smtp::StartTls&) { Refuse(smtp::kTlsOff, "starttls"); },
                          [&](const smtp::Auth&) { Refuse(smtp::kAuthOff, "auth"); },
                          [&](const smtp::Etrn&) { Refuse(smtp::kNotImplemented, "etrn"); },
                          [&](const smtp::Obsolete&) { Refuse(smtp::kNotImplemented, "command"); },
                          [&](const smtp::Foreign&) {
                            Refuse(smtp::kForeignProtocol, "command");
                            closing_ = true;
                          },
                          [](const auto&) {}},
               *command);
  }
}

void Session::OnCommandError(const smtp::CommandError& error) {
  const std::string_view stage = error.kind == Kind::kSenderSyntax      ? "mail"
                                 : error.kind == Kind::kRecipientSyntax ? "rcpt"
                                                                        : "command";
  Refuse(smtp::CommandErrorReply(error), stage, error.reason);
}

std::vector<std::string> Session::Keywords() const {
  const config::Smtp& settings = host_.settings().smtp;
  std::string size = "SIZE";
  if (settings.max_message_octets > 0) size += ' ' + std::to_string(settings.max_message_octets);
  std::string limits = "LIMITS RCPTMAX=" + std::to_string(settings.max_recipients);
  if (settings.max_messages_per_connection > 0) {
    limits += " MAILMAX=" + std::to_string(settings.max_messages_per_connection);
  }
  return {"PIPELINING", size,       "8BITMIME",   "SMTPUTF8", "ENHANCEDSTATUSCODES",
          "DSN",        "CHUNKING", "BINARYMIME", limits};
}

void Session::OnHello(const smtp::Hello& hello) {
  // What follows was sent without knowing whether it may be (RFC 2920 §3.1).
  if (PipelinedBehind()) {
    Refuse(smtp::kPipeliningEarly, "ehlo");
    closing_ = true;
    return;
  }
  ResetTransaction();
  helo_ = hello.name;
  greeted_ = true;
  extended_ = hello.extended;
  Say(extended_ ? smtp::EhloReply(host_.settings().hostname, Keywords())
                : smtp::HelloReply(host_.settings().hostname));
}

void Session::OnMail(const smtp::Mail& mail) {
  const config::Smtp& settings = host_.settings().smtp;
  if (!greeted_ && settings.require_helo) return Refuse(smtp::kNeedHello, "mail");
  if (mail_.has_value()) return Refuse(smtp::kNestedMail, "mail");
  if (settings.max_messages_per_connection > 0 &&
      counters_.messages >= static_cast<uint64_t>(settings.max_messages_per_connection)) {
    return Close(smtp::kTooManyMessages);
  }
  if (settings.max_message_octets > 0 &&
      mail.size_octets.value_or(0) > settings.max_message_octets) {
    return Refuse(smtp::kMessageTooBig, "mail", "announced size exceeds the limit");
  }
  mail_ = mail;
  Say(smtp::kSenderOk);
}

io::Task<void> Session::OnRcpt(const smtp::Rcpt& rcpt) {
  if (!mail_.has_value()) co_return Refuse(smtp::kNeedMail, "rcpt");
  if (content_ != nullptr) co_return Refuse(smtp::kBdatUnderWay, "rcpt");
  if (recipients_.size() + discarded_recipients_ >=
      static_cast<size_t>(host_.settings().smtp.max_recipients)) {
    ++refused_recipients_;
    co_return Refuse(smtp::kTooManyRecipients, "rcpt");
  }
  protocol::policy::RecipientQuestion question;
  question.client = protocol::Ip::From(client_.address.ip);
  question.local_user = client_.local_user;
  question.helo = helo_;
  question.sender = mail_->from.ToString();
  question.recipient = rcpt.to.ToString();
  question.routed_local_part = !rcpt.to.postmaster && smtp::HasRoutedLocalPart(rcpt.to.mailbox);
  const absl::StatusOr<protocol::policy::Verdict> verdict = co_await host_.AskRecipient(question);
  if (!verdict.ok()) {
    ++refused_recipients_;
    co_return Refuse(smtp::kLocalTrouble, "rcpt", Message(verdict.status()));
  }
  switch (verdict->decision) {
    case protocol::policy::Decision::kReject:
    case protocol::policy::Decision::kDefer:
      ++refused_recipients_;
      co_return Refuse(ToReply(verdict->reply), "rcpt", verdict->reason);
    case protocol::policy::Decision::kDiscard:
      ++discarded_recipients_;
      break;
    case protocol::policy::Decision::kHold:
      hold_reason_ = verdict->reason;
      [[fallthrough]];
    case protocol::policy::Decision::kAccept:
      recipients_.push_back({.address = std::move(question.recipient),
                             .orcpt = rcpt.orcpt,
                             .notify = rcpt.notify,
                             .kind = verdict->kind});
      break;
  }
  if (verdict->reply.code != 0) {
    Say(ToReply(verdict->reply));
  } else {
    Say(smtp::kRecipientOk);
  }
}

}  // namespace postern::smtpd
