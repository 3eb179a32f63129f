#include "common/mime/trace.h"

#include "common/mime/date.h"
#include "common/mime/header_field.h"
#include "common/mime/limits.h"

namespace postern::mime {
namespace {

std::string Word(std::string_view foreign) { return Harmless(foreign, kMaxForeignWord); }

// "helo (name [ip])", the words of RFC 5321 §4.4's From-domain.
std::string From(const ReceivedField& field) {
  if (field.client_ip.empty()) {
    // Local: no client has a name or address; the kernel says who it is.
    return Word(field.by) + (field.local_user.empty()
                                 ? std::string(" (local)")
                                 : " (local user " + Word(field.local_user) + ")");
  }
  const bool v6 = field.client_ip.find(':') != std::string::npos;
  std::string text = field.helo.empty() ? "unknown" : Word(field.helo);
  // A long name of the client's stands on a line of its own.
  text += text.size() + field.client_name.size() > kFoldColumns / 2 ? "\r\n\t(" : " (";
  if (!field.client_name.empty()) text += Word(field.client_name) + ' ';
  return text + '[' + (v6 ? "IPv6:" : "") + Word(field.client_ip) + "])";
}

// An address between its brackets: a quoted local part may hold spaces, which must not fold.
std::string Address(std::string_view address) {
  std::string text(address.substr(0, kMaxForeignWord));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  }
  return text;
}

}  // namespace

std::string_view WithProtocol(const Protocol& protocol) {
  static constexpr std::string_view kSmtp[] = {"ESMTP",    "ESMTPA",    "ESMTPS",    "ESMTPSA",
                                               "UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA"};
  static constexpr std::string_view kLmtp[] = {"LMTP",     "LMTPA",     "LMTPS",     "LMTPSA",
                                               "UTF8LMTP", "UTF8LMTPA", "UTF8LMTPS", "UTF8LMTPSA"};
  if (!protocol.lmtp && !protocol.extended) return "SMTP";
  const size_t row =
      (protocol.utf8 ? 4u : 0u) + (protocol.tls ? 2u : 0u) + (protocol.authenticated ? 1u : 0u);
  return protocol.lmtp ? kLmtp[row] : kSmtp[row];
}

std::string FormatReceived(const ReceivedField& field) {
  std::string text = "Received: from " + From(field) + "\r\n\tby " + Word(field.by) + " with ";
  text += WithProtocol(field.protocol);
  text += " id " + Word(field.id);
  if (!field.for_recipient.empty()) text += "\r\n\tfor <" + Address(field.for_recipient) + '>';
  return text + ";\r\n\t" + FormatDate(field.unix_seconds, field.offset_minutes) + "\r\n";
}

std::string FormatReturnPath(std::string_view sender) {
  return "Return-Path: <" + Address(sender) + ">\r\n";
}

}  // namespace postern::mime
