#include "common/smtp/replies.h"

#include <algorithm>
#include <iterator>

#include "common/smtp/ascii.h"

namespace postern::smtp {
namespace {

using Kind = CommandError::Kind;

const FixedReply& ReplyOf(Kind kind) {
  switch (kind) {
    case Kind::kUnrecognized:
      return kUnrecognized;
    case Kind::kTooLong:
      return kLineTooLong;
    case Kind::kSenderSyntax:
      return kSenderSyntax;
    case Kind::kRecipientSyntax:
      return kRecipientSyntax;
    case Kind::kUnknownParameter:
    case Kind::kParameterNotAllowed:
      return kUnknownParameter;
    case Kind::kNonAsciiAddress:
      return kNeedsUtf8;
    case Kind::kSyntax:
    case Kind::kParameterSyntax:
      break;
  }
  return kSyntax;
}

struct Topic {
  std::string_view verb;
  std::string_view text;
};

constexpr Topic kTopics[] = {
    {"EHLO", "EHLO host-name\nBegins a session and lists the extensions offered."},
    {"HELO", "HELO host-name\nBegins a session without extensions."},
    {"MAIL",
     "MAIL FROM:<address> [SIZE=octets] [BODY=7BIT|8BITMIME|BINARYMIME] [SMTPUTF8]"
     " [RET=FULL|HDRS] [ENVID=xtext]\nBegins a message; <> is the null sender."},
    {"RCPT",
     "RCPT TO:<address> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;xtext]\n"
     "Adds a recipient to the message."},
    {"DATA", "DATA\nAfter 354 the message follows; a line that holds a dot alone ends it."},
    {"BDAT",
     "BDAT octets [LAST]\nSo many octets of the message follow at once; LAST with the last."},
    {"RSET", "RSET\nForgets the message begun."},
    {"NOOP", "NOOP\nDoes nothing."},
    {"VRFY", "VRFY name\nIs answered alike for every name."},
    {"HELP", "HELP [command]"},
    {"QUIT", "QUIT\nEnds the session."},
};

}  // namespace

Reply HelpReply(std::string_view topic) {
  if (topic.empty()) return kHelp;
  const auto* found = std::find_if(std::begin(kTopics), std::end(kTopics), [&](const Topic& one) {
    return EqualsIgnoringCase(one.verb, topic);
  });
  return found == std::end(kTopics) ? kNoSuchTopic.Get() : kHelp.Saying(found->text);
}

Reply FixedReply::With(std::string_view detail) const {
  Reply reply = Get();
  reply.text += ": ";
  reply.text += detail;
  return reply;
}

Reply CommandErrorReply(const CommandError& error) {
  const FixedReply& fixed = ReplyOf(error.kind);
  return error.reason.empty() ? fixed.Get() : fixed.Saying(error.reason);
}

Reply Greeting(std::string_view host, std::string_view words) {
  Reply reply{.code = 220, .text = std::string(host)};
  if (!words.empty()) reply.text.append(1, ' ').append(words);
  return reply;
}

Reply HelloReply(std::string_view host) { return {.code = 250, .text = std::string(host)}; }

Reply EhloReply(std::string_view host, const std::vector<std::string>& keywords) {
  Reply reply = HelloReply(host);
  for (const std::string& keyword : keywords) reply.text.append(1, '\n').append(keyword);
  return reply;
}

Reply Accepted(std::string_view queue_id) {
  Reply reply = kMessageOk.Get();
  reply.text.append(" as ").append(queue_id);
  return reply;
}

}  // namespace postern::smtp
