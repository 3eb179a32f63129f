#include "daemons/smtpc/form.h"

#include <algorithm>

#include "common/base/escape.h"
#include "common/smtp/ascii.h"
#include "common/smtp/domain.h"
#include "common/smtp/xtext.h"

namespace postern::smtpc {
namespace {

using protocol::Body;

// An address for a server without SMTPUTF8: its domain in A-labels. What has a local part beyond
// ASCII stays, and cannot go.
std::string AsciiForm(const std::string& address) {
  const size_t at = address.rfind('@');
  if (smtp::IsAllAscii(address) || at == std::string::npos) return address;
  const Parsed<std::string> domain = smtp::ToAscii(std::string_view(address).substr(at + 1));
  return domain.has_value() ? address.substr(0, at + 1) + *domain : address;
}

Form Impossible(std::string status, std::string reason) {
  Form form;
  form.possible = false;
  form.status = std::move(status);
  form.reason = std::move(reason);
  return form;
}

}  // namespace

void Examiner::Add(std::string_view piece) {
  eight_bit_ = eight_bit_ || !smtp::IsAllAscii(piece);
  header_.Scan(piece);
}

ContentTraits Examine(std::string_view content) {
  if (smtp::IsAllAscii(content)) return {};
  Examiner examiner;
  examiner.Add(content);
  return examiner.traits();
}

bool MustBeExamined(const protocol::delivery::Job& job, const Offers& offers) {
  return (job.body == Body::kEightBit && !offers.eight_bit) || (job.smtputf8 && !offers.utf8);
}

Form FormFor(const protocol::delivery::Job& job, const ContentTraits& traits, uint64_t octets,
             const Offers& offers) {
  Form form;
  form.chunking = offers.chunking;
  form.dsn = offers.dsn;
  form.utf8 = job.smtputf8 && offers.utf8;
  if (offers.size && offers.max_octets > 0 && octets > offers.max_octets) {
    return Impossible("5.3.4", "the message is larger than the server takes (" +
                                   std::to_string(offers.max_octets) + " octets)");
  }
  if (job.smtputf8 && !offers.utf8) {
    // RFC 6531 §3.2: what needs it must not go without; mail that merely said so may.
    if (traits.eight_bit_header || !smtp::IsAllAscii(AsciiForm(job.sender)))
      return Impossible("5.6.7", "the message needs SMTPUTF8, which the server does not offer");
  }
  if (job.body == Body::kBinary && !offers.binary) {
    return Impossible("5.6.3",
                      "the message is binary (BODY=BINARYMIME), which the server does not take");
  }
  if (job.body == Body::kEightBit && traits.eight_bit && !offers.eight_bit) {
    return Impossible("5.6.3",
                      "the message is 8-bit, which the server does not take (no 8BITMIME)");
  }
  // A server without DSN hears nothing of NOTIFY (RFC 3461 §5.2.2). The RFC lets recipients with
  // NEVER be sent to from the null sender, so that such a server has nobody to tell: not done, as
  // the sender's domain could then no longer answer for the mail (SPF, DMARC), which may cost it.
  form.mail = "MAIL FROM:<" + (form.utf8 ? job.sender : AsciiForm(job.sender)) + '>';
  if (offers.size) form.mail += " SIZE=" + std::to_string(octets);
  if (job.body == Body::kBinary) {
    form.mail += " BODY=BINARYMIME";
  } else if (offers.eight_bit && (traits.eight_bit || job.body == Body::kEightBit)) {
    form.mail += " BODY=8BITMIME";
  }
  if (form.utf8) form.mail += " SMTPUTF8";
  if (form.dsn) {
    if (job.ret != protocol::Ret::kNotGiven)
      form.mail += job.ret == protocol::Ret::kFull ? " RET=FULL" : " RET=HDRS";
    if (!job.envid.empty()) form.mail += " ENVID=" + smtp::EncodeXtext(job.envid);
  }
  return form;
}

bool CanGo(const protocol::delivery::JobRecipient& recipient, const Form& form) {
  return form.utf8 || smtp::IsAllAscii(AsciiForm(recipient.address));
}

std::string RcptCommand(const protocol::delivery::JobRecipient& recipient, const Form& form) {
  std::string command =
      "RCPT TO:<" + (form.utf8 ? recipient.address : AsciiForm(recipient.address)) + '>';
  if (!form.dsn) return command;
  if (recipient.notify != 0) {
    std::string list;
    for (const auto& [bit, word] :
         {std::pair<uint8_t, const char*>{protocol::kNotifyNever, "NEVER"},
          {protocol::kNotifySuccess, "SUCCESS"},
          {protocol::kNotifyFailure, "FAILURE"},
          {protocol::kNotifyDelay, "DELAY"}}) {
      if ((recipient.notify & bit) != 0) list += (list.empty() ? "" : ",") + std::string(word);
    }
    command += " NOTIFY=" + list;
  }
  if (const size_t type_end = recipient.orcpt.find(';'); type_end != std::string::npos) {
    const std::string type = recipient.orcpt.substr(0, type_end);
    const std::string address = recipient.orcpt.substr(type_end + 1);
    // An address of type utf-8 goes in raw UTF-8 with SMTPUTF8 only (RFC 6533 §3).
    if (type != "utf-8") {
      command += " ORCPT=" + type + ';' + smtp::EncodeXtext(address);
    } else if (IsValidUtf8(address)) {
      command +=
          " ORCPT=utf-8;" +
          smtp::EncodeUtf8Address(address, form.utf8 ? smtp::Utf8::kAllowed : smtp::Utf8::kRefused);
    }
  }
  return command;
}

}  // namespace postern::smtpc
