#include "common/log/redact.h"

namespace postern::log {

std::string Redacted(std::string_view secret) { return secret.empty() ? "[empty]" : "[redacted]"; }

std::string RedactedMailbox(std::string_view mailbox) {
  // The last one: a quoted local part may hold others.
  const size_t at = mailbox.rfind('@');
  if (at == mailbox.npos || at == 0) return Redacted(mailbox);
  const bool shows_first =
      at > 1 && mailbox[0] != '"' && static_cast<unsigned char>(mailbox[0]) < 0x80;
  std::string masked(mailbox.substr(0, shows_first ? 1 : 0));
  masked += "***";
  masked += mailbox.substr(at);
  return masked;
}

}  // namespace postern::log
