#include "common/smtp/replies.h"

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

}  // namespace

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
