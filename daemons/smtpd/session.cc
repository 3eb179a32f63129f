#include "daemons/smtpd/session.h"

#include <algorithm>
#include <utility>

#include "common/log/log.h"
#include "common/smtp/ascii.h"
#include "common/smtp/limits.h"
#include "common/smtp/timeouts.h"

namespace postern::smtpd {
namespace {

using Kind = smtp::CommandError::Kind;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

// The client must take its replies in the time in which it would have to say something.
constexpr absl::Duration kReplyTimeout = absl::Seconds(smtp::kServerTimeout.count());
// What may gather before it is sent although more commands are at hand: replies are longer than the
// shortest commands.
constexpr size_t kMaxUnsentOctets = 16384;
// In one transaction so many recipients and chunks are deferred without being counted as errors: a
// client that has more recipients than we take sends the rest in another transaction (RFC 5321
// §4.5.3.1.10), and must get there.
constexpr size_t kDeferralsTolerated = 1000;

// An enhanced code must say the same as the code in front of it.
smtp::Reply ToReply(const protocol::ReplyText& text) {
  const Parsed<smtp::EnhancedCode> enhanced = smtp::EnhancedCode::Parse(text.enhanced);
  const bool fits = enhanced.has_value() && enhanced->klass == text.code / 100;
  return {
      .code = text.code, .enhanced = fits ? *enhanced : smtp::EnhancedCode(), .text = text.text};
}

}  // namespace

smtp::Reply RefusalReply(const protocol::ReplyText& text, const smtp::FixedReply& otherwise) {
  return text.code >= 400 && text.code <= 599 ? ToReply(text) : otherwise.Get();
}

smtp::Reply AcceptanceReply(const protocol::ReplyText& text, const smtp::FixedReply& otherwise) {
  return text.code >= 250 && text.code <= 259 ? ToReply(text) : otherwise.Get();
}

Session::Session(SessionHost& host, io::ByteStream& stream, Client client)
    : host_(host),
      stream_(stream),
      client_(std::move(client)),
      ends_(host.loop().After(host.settings().smtp.session_limit)),
      splitter_(smtp::kMaxCommandLine) {}

Session::~Session() = default;

std::string Session::ClientText() const {
  return client_.local() ? "user " + client_.local_user : client_.address.ip.ToString();
}

// Guessing and nonsense count. What we cannot take now is no mistake of the client's.
bool Session::CountsAsError(const smtp::Reply& reply) const {
  return reply.permanent() || deferrals_ > kDeferralsTolerated;
}

void Session::Refuse(const smtp::Reply& reply, std::string_view stage, std::string_view reason,
                     std::string_view recipient) {
  Say(reply);
  {
    log::Event event(reply.permanent() ? log::Severity::kInfo : log::Severity::kNotice,
                     reply.permanent() ? log::kSmtpRejected : log::kSmtpDeferred);
    if (content_ != nullptr) event.Id(content_->id);
    event.Str("client", ClientText()).Str("stage", stage);
    if (mail_.has_value()) event.Str("from", mail_->from.ToString());
    if (!recipient.empty()) event.Str("to", recipient);
    event.Int("code", reply.code)
        .Str("status", reply.enhanced.ToString())
        .Str("reason", reason.empty() ? std::string_view(reply.text) : reason);
  }
  if (reply.code == 421 || reply.code == 521) closing_ = true;  // RFC 5321 §3.8, RFC 7504
  if (reply.transient()) ++deferrals_;
  // Our own users may have old addresses in their lists: nobody guesses here.
  if (!CountsAsError(reply) || (client_.local() && !recipient.empty())) return;
  ++counters_.errors;
  if (counters_.errors >= static_cast<uint64_t>(host_.settings().smtp.max_errors) && !closing_)
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
  deferrals_ = 0;
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
  // browser, or someone who smuggles). Programs of this machine may: the kernel says who they are.
  if (!client_.local())
    IgnoreStatus((co_await stream_.Receive(host_.loop().Now())).status(), "only arms the receive");
  const protocol::policy::ConnectQuestion question{.client =
                                                       protocol::Ip::From(client_.address.ip)};
  const absl::StatusOr<protocol::policy::Verdict> verdict = co_await host_.AskConnect(question);
  if (!verdict.ok()) {
    Refuse(smtp::kNotNow, "connect", Message(verdict.status()));
    co_return false;
  }
  if (verdict->decision != protocol::policy::Decision::kAccept) {
    const bool reject = verdict->decision == protocol::policy::Decision::kReject;
    Refuse(RefusalReply(verdict->reply, reject ? smtp::kClientRefused : smtp::kNotNow), "connect",
           verdict->reason);
    co_return false;
  }
  accepted_by_policy_ = true;
  if (!client_.local() && !co_await AwaitSilence(settings.greeting_delay)) co_return false;
  if (host_.stopping()) {
    Close(smtp::kShuttingDown);
    co_return false;
  }
  Say(smtp::Greeting(host_.settings().hostname,
                     settings.banner.empty() ? "ESMTP" : settings.banner));
  co_return true;
}

// False if the client spoke, or left, before its turn had come.
io::Task<bool> Session::AwaitSilence(absl::Duration delay) {
  const auto early = co_await stream_.Receive(host_.loop().After(delay));
  const bool quiet = absl::IsDeadlineExceeded(early.status()) || absl::IsAborted(early.status());
  if (quiet) co_return true;
  if (!early.ok() || early->empty()) {
    broken_ = true;
    co_return false;
  }
  // RFC 5321 §3.1 would have us wait for QUIT behind a 554; such a client does not know what it is
  // talking to.
  Refuse(smtp::kEarlyTalker, "connect");
  co_return false;
}

// The next command line; false when there is none any more. Replies leave before the wait.
io::Task<bool> Session::NextLine(std::string_view& line) {
  if (out_.size() > kMaxUnsentOctets && !co_await Flush()) co_return false;
  // Of the whole line: octets that trickle buy no more time.
  std::optional<io::Deadline> until;
  for (;;) {
    if (OutOfTime()) {  // nobody waits for it where the input never ends
      Close(smtp::kTimeout);
      co_return false;
    }
    const std::string_view all = stream_.Unread();
    std::string_view input = all;
    const smtp::LineSplitter::Outcome outcome = splitter_.Next(input, line);
    if (outcome == smtp::LineSplitter::Outcome::kLine) {
      // The line may lie in the stream's buffer: it is consumed when it has been handled.
      line_octets_ = all.size() - input.size();
      co_return true;
    }
    stream_.Consume(all.size() - input.size());
    if (outcome != smtp::LineSplitter::Outcome::kNeedMore ||
        splitter_.pending_octets() > smtp::kMaxDiscardedLine) {
      OnLineFault(outcome);
      if (closing_) co_return false;
      until.reset();
      continue;
    }
    if (!stream_.Unread().empty()) continue;
    if (!co_await Flush()) co_return false;
    if (host_.stopping() && !mail_.has_value()) {
      Close(smtp::kShuttingDown);
      co_return false;
    }
    if (!until.has_value()) until = host_.loop().After(host_.settings().smtp.command_timeout);
    until = std::min(*until, ends_);  // which a stop may have brought nearer
    waiting_for_command_ = true;
    const absl::StatusOr<std::string_view> received = co_await stream_.Receive(*until);
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

void Session::OnLineFault(smtp::LineSplitter::Outcome fault) {
  ++counters_.commands;
  const bool bare = fault == smtp::LineSplitter::Outcome::kBareNewline;
  Refuse(bare ? smtp::kBareNewlineInCommand : smtp::kLineTooLong, "command");
  // Behind a bare newline may be what someone smuggles; a line that never ends is not read on.
  if (fault != smtp::LineSplitter::Outcome::kTooLong) closing_ = true;
}

// Whether what is behind `command` already may be there: RFC 2920 §3.1 lets those send ahead who
// saw PIPELINING in our answer to EHLO, and not behind a command whose answer changes the state.
// (DATA looks for itself, and a BDAT that was understood has its chunk behind it.)
bool Session::MayPipelineBehind(const smtp::Command& command) const {
  if (client_.local() || std::holds_alternative<smtp::Quit>(command)) return true;
  return extended_ && !std::holds_alternative<smtp::Hello>(command);
}

io::Task<void> Session::Handle(std::string_view line) {
  ++counters_.commands;
  const smtp::CommandContext context{.extended = extended_,
                                     .smtputf8 = mail_.has_value() && mail_->smtputf8};
  const std::expected<smtp::Command, smtp::CommandError> command =
      smtp::ParseCommand(line, context);
  if (!command.has_value()) OnCommandError(line, command.error());
  stream_.Consume(std::exchange(line_octets_, 0));
  if (!command.has_value()) co_return;
  if (!MayPipelineBehind(*command) && PipelinedBehind()) {
    Refuse(smtp::kPipeliningEarly, "command");
    closing_ = true;
  } else if (const auto* rcpt = std::get_if<smtp::Rcpt>(&*command)) {
    co_await OnRcpt(*rcpt);
  } else if (std::holds_alternative<smtp::Data>(*command)) {
    co_await OnData();
  } else if (const auto* bdat = std::get_if<smtp::Bdat>(&*command)) {
    co_await OnBdat(*bdat);
  } else {
    HandleAtOnce(*command);
  }
}

void Session::HandleAtOnce(const smtp::Command& command) {
  std::visit(Overloaded{[&](const smtp::Hello& hello) { OnHello(hello); },
                        [&](const smtp::Mail& mail) { OnMail(mail); },
                        [&](const smtp::Rset&) {
                          ResetTransaction();
                          Say(smtp::kFlushed);
                        },
                        [&](const smtp::Noop&) { Say(smtp::kOk); },
                        [&](const smtp::Quit&) { Close(smtp::kGoodbye); },
                        [&](const smtp::Help& help) { OnHelp(help); },
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
             command);
}

void Session::OnCommandError(std::string_view line, const smtp::CommandError& error) {
  const std::string_view stage = error.kind == Kind::kSenderSyntax      ? "mail"
                                 : error.kind == Kind::kRecipientSyntax ? "rcpt"
                                                                        : "command";
  Refuse(smtp::CommandErrorReply(error), stage, error.reason);
  // A chunk follows, and nobody knows how long it is: its octets must not be taken for commands.
  if (smtp::EqualsIgnoringCase(line.substr(0, 4), "BDAT")) closing_ = true;
}

void Session::OnHelp(const smtp::Help& help) {
  const smtp::Reply reply = smtp::HelpReply(help.topic);
  if (reply.permanent()) return Refuse(reply, "help", "no such topic");
  Say(reply);
}

std::vector<std::string> Session::Keywords() const {
  const config::Smtp& settings = host_.settings().smtp;
  std::string size = "SIZE";
  if (settings.max_message_octets > 0) size += ' ' + std::to_string(settings.max_message_octets);
  const auto limit = [](int value) {
    return std::to_string(std::min(value, smtp::kMaxAnnouncedLimit));
  };
  std::string limits = "LIMITS RCPTMAX=" + limit(settings.max_recipients);
  if (settings.max_messages_per_connection > 0)
    limits += " MAILMAX=" + limit(settings.max_messages_per_connection);
  return {"PIPELINING", size,       "8BITMIME",   "SMTPUTF8", "ENHANCEDSTATUSCODES",
          "DSN",        "CHUNKING", "BINARYMIME", limits};
}

void Session::OnHello(const smtp::Hello& hello) {
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
      counters_.transactions >= static_cast<uint64_t>(settings.max_messages_per_connection)) {
    return Refuse(smtp::kTooManyMessages, "mail");
  }
  ++counters_.transactions;
  if (settings.max_message_octets > 0 &&
      mail.size_octets.value_or(0) > settings.max_message_octets) {
    return Refuse(smtp::kMessageTooBig, "mail", "announced size exceeds the limit");
  }
  mail_ = mail;
  Say(smtp::kSenderOk);
}

io::Task<void> Session::OnRcpt(const smtp::Rcpt& rcpt) {
  if (!mail_.has_value()) co_return Refuse(smtp::kNeedMail, "rcpt");
  if (content_ != nullptr || bdat_failed_) co_return Refuse(smtp::kBdatUnderWay, "rcpt");
  protocol::policy::RecipientQuestion question;
  question.recipient = rcpt.to.ToString();
  if (recipients_.size() + discarded_recipients_ >=
      static_cast<size_t>(host_.settings().smtp.max_recipients)) {
    ++refused_recipients_;
    co_return Refuse(smtp::kTooManyRecipients, "rcpt", {}, question.recipient);
  }
  question.client = protocol::Ip::From(client_.address.ip);
  question.local_user = client_.local_user;
  question.helo = helo_;
  question.sender = mail_->from.ToString();
  question.routed_local_part = !rcpt.to.postmaster && smtp::HasRoutedLocalPart(rcpt.to.mailbox);
  const absl::StatusOr<protocol::policy::Verdict> verdict = co_await host_.AskRecipient(question);
  if (!verdict.ok()) {
    ++refused_recipients_;
    co_return Refuse(smtp::kLocalTrouble, "rcpt", Message(verdict.status()), question.recipient);
  }
  TakeVerdict(rcpt, std::move(question.recipient), *verdict);
}

void Session::TakeVerdict(const smtp::Rcpt& rcpt, std::string address,
                          const protocol::policy::Verdict& verdict) {
  using protocol::policy::Decision;
  switch (verdict.decision) {
    case Decision::kReject:
      ++refused_recipients_;
      return Refuse(RefusalReply(verdict.reply, smtp::kRecipientRefused), "rcpt", verdict.reason,
                    address);
    case Decision::kDefer:
      ++refused_recipients_;
      return Refuse(RefusalReply(verdict.reply, smtp::kTryAgain), "rcpt", verdict.reason, address);
    case Decision::kDiscard:
      ++discarded_recipients_;
      break;
    case Decision::kHold:
      hold_reason_ = verdict.reason.empty() ? "policy" : verdict.reason;
      [[fallthrough]];
    case Decision::kAccept:
      recipients_.push_back({.address = std::move(address),
                             .orcpt = rcpt.orcpt,
                             .notify = rcpt.notify,
                             .kind = verdict.kind});
      break;
  }
  if (verdict.reply.code == 0) return Say(smtp::kRecipientOk);
  Say(AcceptanceReply(verdict.reply, smtp::kRecipientOk));
}

}  // namespace postern::smtpd
