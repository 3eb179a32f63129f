// common/smtp/replies.h — everything our server says, in one table: code, enhanced code (RFC 3463,
// RFC 5248, RFC 7505), words. policyd's verdicts may bring their own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/smtp/command.h"
#include "common/smtp/reply.h"

namespace postern::smtp {

struct FixedReply {
  int code;
  EnhancedCode enhanced;
  std::string_view text;

  // As AppendReply, without a Reply in between.
  void AppendTo(std::string& wire) const { AppendReply(code, enhanced, text, wire); }
  Reply Get() const { return {code, enhanced, std::string(text)}; }
  operator Reply() const { return Get(); }  // NOLINT: a table entry is a reply
  // With other words, or with these and more behind them.
  Reply Saying(std::string_view words) const { return {code, enhanced, std::string(words)}; }
  Reply With(std::string_view detail) const;
};

// Commands that went well.
inline constexpr FixedReply kOk{250, {2, 0, 0}, "OK"};
inline constexpr FixedReply kFlushed{250, {2, 0, 0}, "flushed"};
inline constexpr FixedReply kSenderOk{250, {2, 1, 0}, "sender OK"};
inline constexpr FixedReply kRecipientOk{250, {2, 1, 5}, "recipient OK"};
inline constexpr FixedReply kChunkOk{250, {2, 0, 0}, "chunk received"};
inline constexpr FixedReply kMessageOk{250, {2, 0, 0}, "message accepted"};
inline constexpr FixedReply kStartData{
    354, {}, "send the message, end with a line that holds a dot alone"};
inline constexpr FixedReply kGoodbye{221, {2, 0, 0}, "goodbye"};
inline constexpr FixedReply kReadyForTls{220, {2, 0, 0}, "ready to start TLS"};
inline constexpr FixedReply kHelp{214,
                                  {2, 0, 0},
                                  "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT\n"
                                  "HELP and one of them tells its form"};
// The same for every address, and nothing is looked up (S10).
inline constexpr FixedReply kVrfy{252, {2, 1, 5}, "cannot verify; send mail and see"};

// Commands that make no sense.
inline constexpr FixedReply kUnrecognized{500, {5, 5, 2}, "command not recognized"};
inline constexpr FixedReply kLineTooLong{500, {5, 5, 2}, "line too long"};
inline constexpr FixedReply kSyntax{501, {5, 5, 4}, "syntax error in arguments"};
inline constexpr FixedReply kSenderSyntax{501, {5, 1, 7}, "malformed sender address"};
inline constexpr FixedReply kRecipientSyntax{501, {5, 1, 3}, "malformed recipient address"};
inline constexpr FixedReply kUnknownParameter{555, {5, 5, 4}, "parameter not supported"};
inline constexpr FixedReply kNotImplemented{502, {5, 5, 1}, "command not implemented"};
inline constexpr FixedReply kNoSuchTopic{504, {5, 5, 4}, "no help on that"};
inline constexpr FixedReply kExpnOff{502, {5, 7, 0}, "EXPN is not available"};
inline constexpr FixedReply kTlsOff{502, {5, 5, 1}, "STARTTLS is not available"};
inline constexpr FixedReply kAuthOff{502, {5, 5, 1}, "AUTH is not available"};

// Commands at the wrong moment.
inline constexpr FixedReply kBadSequence{503, {5, 5, 1}, "bad sequence of commands"};
inline constexpr FixedReply kNeedHello{503, {5, 5, 1}, "say EHLO or HELO first"};
inline constexpr FixedReply kNeedEhlo{503, {5, 5, 1}, "say EHLO first"};
inline constexpr FixedReply kNestedMail{503, {5, 5, 1}, "a sender was given already"};
inline constexpr FixedReply kNeedMail{503, {5, 5, 1}, "say MAIL first"};
inline constexpr FixedReply kNeedRcpt{503, {5, 5, 1}, "say RCPT first"};
inline constexpr FixedReply kNoValidRecipients{554, {5, 5, 1}, "no valid recipients"};
inline constexpr FixedReply kBdatUnderWay{503, {5, 5, 1}, "BDAT is under way: send BDAT or RSET"};
inline constexpr FixedReply kBinaryNeedsBdat{503, {5, 5, 1}, "BODY=BINARYMIME needs BDAT"};

// Senders, recipients, relaying.
inline constexpr FixedReply kNoRelay{550, {5, 7, 1}, "relaying denied"};
inline constexpr FixedReply kUnknownUser{550, {5, 1, 1}, "no such user here"};
inline constexpr FixedReply kMailboxDisabled{550, {5, 2, 1}, "mailbox is disabled"};
inline constexpr FixedReply kSenderDomainUnknown{550, {5, 1, 8}, "sender's domain does not exist"};
inline constexpr FixedReply kSenderNullMx{550, {5, 7, 27}, "sender's domain takes no mail"};
inline constexpr FixedReply kRecipientNullMx{556, {5, 1, 10}, "recipient's domain takes no mail"};
inline constexpr FixedReply kSenderRefused{550, {5, 7, 1}, "sender refused"};
inline constexpr FixedReply kRecipientRefused{550, {5, 7, 1}, "recipient refused"};
inline constexpr FixedReply kClientRefused{554, {5, 7, 1}, "client refused"};
// RFC 6531 §3.5 and RFC 6533: a reply to MAIL or RCPT, or to the end of the data.
inline constexpr FixedReply kNeedsUtf8{553, {5, 6, 7}, "address needs SMTPUTF8"};
inline constexpr FixedReply kUtf8NotPossible{550, {5, 6, 7}, "recipient's server lacks SMTPUTF8"};
inline constexpr FixedReply kUtf8HeaderNotPossible{554, {5, 6, 9}, "message needs SMTPUTF8"};
inline constexpr FixedReply kAuthRequired{530, {5, 7, 0}, "authentication required"};
inline constexpr FixedReply kTlsRequired{530, {5, 7, 0}, "must issue a STARTTLS command first"};

// Limits (RFC 9422 says them in advance).
inline constexpr FixedReply kTooManyRecipients{
    452, {4, 5, 3}, "too many recipients; send the rest in another transaction"};
inline constexpr FixedReply kMessageTooBig{552, {5, 3, 4}, "message exceeds the size limit"};
inline constexpr FixedReply kHeaderTooBig{552, {5, 3, 4}, "message header exceeds the size limit"};
inline constexpr FixedReply kTooManyHops{
    554, {5, 4, 6}, "too many hops: this message is in a loop"};
inline constexpr FixedReply kTooManyMessages{
    421, {4, 7, 0}, "too many messages in one connection, connect again"};
inline constexpr FixedReply kTooManyErrors{421, {4, 7, 0}, "too many errors, closing connection"};
inline constexpr FixedReply kTooManyConnections{
    421, {4, 7, 0}, "too many connections from you, try again later"};
inline constexpr FixedReply kBusy{421, {4, 3, 2}, "too many connections, try again later"};

// Content.
inline constexpr FixedReply kBareNewline{
    554, {5, 6, 0}, "message holds a bare CR or LF; lines must end in CRLF"};
inline constexpr FixedReply kNulOctet{554, {5, 6, 0}, "message holds a NUL octet"};
inline constexpr FixedReply kContentRefused{554, {5, 7, 1}, "message refused"};

// Behaviour; the connection ends behind each.
inline constexpr FixedReply kBareNewlineInCommand{554, {5, 5, 2}, "command lines must end in CRLF"};
inline constexpr FixedReply kEarlyTalker{554, {5, 5, 0}, "you spoke before the greeting"};
inline constexpr FixedReply kPipeliningEarly{
    554, {5, 5, 0}, "commands were sent before the reply they depend on"};
inline constexpr FixedReply kForeignProtocol{554, {5, 5, 0}, "this is an SMTP server"};

// Trouble of ours, or of the network.
inline constexpr FixedReply kLocalTrouble{451, {4, 3, 0}, "local trouble, try again later"};
inline constexpr FixedReply kNoSpace{
    452, {4, 3, 1}, "insufficient system storage, try again later"};
inline constexpr FixedReply kShuttingDown{
    421, {4, 3, 2}, "service is shutting down, try again later"};
inline constexpr FixedReply kTimeout{421, {4, 4, 2}, "timeout, closing connection"};
inline constexpr FixedReply kNotNow{421, {4, 3, 0}, "local trouble, try again later"};
inline constexpr FixedReply kTryAgain{450, {4, 7, 1}, "try again later"};

// The reply to a line that is no command: its kind's codes, its reason's words.
Reply CommandErrorReply(const CommandError& error);

// The answer to HELP (RFC 5321 §4.1.1.8): what a command's form is, or which there are.
Reply HelpReply(std::string_view topic);

// "220 host words" without an enhanced code (RFC 2034 §4); `words` may be empty.
Reply Greeting(std::string_view host, std::string_view words);
// HELO's one line, and EHLO's list: our host name, then one keyword (with its values) a line.
Reply HelloReply(std::string_view host);
Reply EhloReply(std::string_view host, const std::vector<std::string>& keywords);
// The 250 behind the end of the data, with the name of the message in the queue.
Reply Accepted(std::string_view queue_id);

}  // namespace postern::smtp
