// Command lines: any bytes are a command or an error with a reason, and what was parsed holds to
// the limits and prints as it parses.
//
// Covers: common/smtp/command.cc
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "common/base/escape.h"
#include "common/smtp/ascii.h"
#include "common/smtp/command.h"
#include "common/smtp/limits.h"
#include "common/smtp/replies.h"
#include "common/smtp/xtext.h"

namespace {

using namespace postern;
using namespace postern::smtp;

void CheckMail(const Mail& mail) {
  const Utf8 utf8 = mail.smtputf8 ? Utf8::kAllowed : Utf8::kRefused;
  CHECK(ParseReversePath(mail.from.ToString(), utf8) == mail.from);
  CHECK(mail.envid.size() <= kMaxEnvid);
  CHECK(IsAllAscii(mail.envid) && mail.envid.find_first_of("\r\n") == mail.envid.npos);
  CHECK(mail.smtputf8 || !mail.from.mailbox.needs_utf8());
}

void CheckRcpt(const Rcpt& rcpt, bool smtputf8) {
  const Utf8 utf8 = smtputf8 ? Utf8::kAllowed : Utf8::kRefused;
  CHECK(ParseForwardPath(rcpt.to.ToString(), utf8) == rcpt.to);
  CHECK(rcpt.orcpt.size() <= kMaxOrcpt);
  CHECK(IsValidUtf8(rcpt.orcpt) && rcpt.orcpt.find_first_of("\r\n") == rcpt.orcpt.npos);
  CHECK(rcpt.notify == kNotifyNever || (rcpt.notify & kNotifyNever) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t flags = data[0];
  const std::string_view line(reinterpret_cast<const char*>(data) + 1, size - 1);
  const CommandContext context{.extended = (flags & 1) == 0,
                               .smtputf8 = (flags & 2) != 0,
                               .smtputf8_offered = (flags & 4) == 0,
                               .dsn_offered = (flags & 8) == 0,
                               .auth_offered = (flags & 16) != 0};
  const auto command = ParseCommand(line, context);
  if (!command.has_value()) {
    CHECK(!command.error().reason.empty());
    const Reply reply = CommandErrorReply(command.error());
    CHECK(reply.permanent() && reply.enhanced.klass == 5);
    return 0;
  }
  if (const auto* mail = std::get_if<Mail>(&*command)) CheckMail(*mail);
  if (const auto* rcpt = std::get_if<Rcpt>(&*command)) CheckRcpt(*rcpt, context.smtputf8);
  if (const auto* hello = std::get_if<Hello>(&*command)) {
    CHECK(!hello->name.empty() && hello->name.size() <= kMaxDomain);
    CHECK(IsAllVisible(hello->name) && IsValidUtf8(hello->name));
  }
  return 0;
}
