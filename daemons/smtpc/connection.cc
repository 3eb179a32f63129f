#include "daemons/smtpc/connection.h"

#include "common/smtp/ascii.h"

namespace postern::smtpc {

Offers ParseOffers(const smtp::Reply& reply) {
  Offers offers;
  offers.extended = true;
  std::string_view left = reply.text;
  // The first line is the server's name and greeting.
  left.remove_prefix(std::min(left.find('\n'), left.size()));
  while (!left.empty()) {
    left.remove_prefix(1);
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(line.size());
    const std::string keyword = smtp::AsciiUpper(line.substr(0, line.find_first_of(" =")));
    if (keyword == "PIPELINING") offers.pipelining = true;
    if (keyword == "8BITMIME") offers.eight_bit = true;
    if (keyword == "SMTPUTF8") offers.utf8 = true;
    if (keyword == "DSN") offers.dsn = true;
    if (keyword == "CHUNKING") offers.chunking = true;
    if (keyword == "BINARYMIME") offers.binary = true;
    if (keyword == "ENHANCEDSTATUSCODES") offers.enhanced = true;
    if (keyword == "SIZE") {
      offers.size = true;
      for (const char c : line.substr(std::min<size_t>(5, line.size()))) {
        if (!smtp::IsDigit(c) || offers.max_octets > (uint64_t{1} << 60)) break;
        offers.max_octets = offers.max_octets * 10 + static_cast<uint64_t>(c - '0');
      }
    }
  }
  // RFC 3030 §3: BINARYMIME is nothing without CHUNKING.
  offers.binary = offers.binary && offers.chunking;
  return offers;
}

io::Task<absl::StatusOr<smtp::Reply>> Connection::ReadReply(absl::Duration within) {
  const io::Deadline until = loop_.After(within);
  for (;;) {
    const absl::StatusOr<std::string_view> received = co_await stream_->Receive(until);
    if (!received.ok()) co_return Annotate(received.status(), remote_);
    if (received->empty()) co_return Unavailable(remote_, ": the server closed the connection");
    std::string_view input = *received;
    const size_t all = input.size();
    const smtp::ReplyParser::Outcome outcome = parser_.Next(input);
    stream_->Consume(all - input.size());
    if (outcome == smtp::ReplyParser::Outcome::kReply) co_return parser_.reply();
    if (outcome == smtp::ReplyParser::Outcome::kMalformed)
      co_return DataLoss(remote_, ": ", parser_.error().reason);
  }
}

io::Task<absl::StatusOr<smtp::Reply>> Connection::Ask(std::string command, absl::Duration within) {
  command += "\r\n";
  CO_RETURN_IF_ERROR(co_await Send(command, within));
  co_return co_await ReadReply(within);
}

io::Task<absl::StatusOr<smtp::Reply>> Connection::Open(const std::string& own_name,
                                                       const config::Outbound& settings) {
  CO_ASSIGN_OR_RETURN(const smtp::Reply greeting, co_await ReadReply(settings.greeting_timeout));
  if (!greeting.positive()) co_return greeting;
  CO_ASSIGN_OR_RETURN(smtp::Reply hello, co_await Ask((lmtp_ ? "LHLO " : "EHLO ") + own_name,
                                                      settings.command_timeout));
  if (hello.positive()) {
    offers_ = ParseOffers(hello);
    co_return hello;
  }
  // RFC 5321 §3.2: a server that does not know EHLO is spoken to as in RFC 821.
  if (!lmtp_ && hello.permanent()) {
    CO_ASSIGN_OR_RETURN(hello, co_await Ask("HELO " + own_name, settings.command_timeout));
  }
  co_return hello;
}

io::Task<bool> Connection::StillGood() {
  const absl::StatusOr<std::string_view> received = co_await stream_->Receive(loop_.Now());
  co_return absl::IsDeadlineExceeded(received.status()) && !parser_.midway();
}

io::Task<void> Connection::Quit() {
  IgnoreStatus(co_await Send("QUIT\r\n", absl::Seconds(5)), "it is closed in any case");
}

}  // namespace postern::smtpc
