#include "daemons/bounced/compose.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "common/base/crc32c.h"
#include "common/base/escape.h"
#include "common/base/ip.h"
#include "daemons/bounced/returned.h"
#include "daemons/bounced/text.h"
#include "daemons/bounced/words.h"

namespace postern::bounced {
namespace {

std::string_view ActionName(Action action) {
  switch (action) {
    case Action::kFailed:
      return "failed";
    case Action::kDelayed:
      return "delayed";
    case Action::kDelivered:
      return "delivered";
    case Action::kRelayed:
      return "relayed";
    case Action::kExpanded:
      return "expanded";
  }
  return {};
}

bool IsNumber(std::string_view text) {
  return !text.empty() && text.size() <= 3 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// A failure may keep a transient code: the last one before its time ran out (RFC 3464 §2.3.4).
std::string StatusFor(Action action, std::string_view status) {
  const std::string_view classes = action == Action::kFailed    ? "54"
                                   : action == Action::kDelayed ? "4"
                                                                : "2";
  const size_t dot = status.find('.', 2);
  if (status.size() > 4 && classes.find(status[0]) != classes.npos && status[1] == '.' &&
      dot != status.npos && IsNumber(status.substr(2, dot - 2)) &&
      IsNumber(status.substr(dot + 1))) {
    return std::string(status);
  }
  return std::string(1, classes[0]) + ".0.0";
}

// Address literals for servers that were known by address alone (RFC 3464 §2.1.2, dns).
std::string HostField(std::string_view host) {
  const Parsed<IpAddress> address = IpAddress::Parse(host);
  if (!address) return "dns; " + Token(host, Charset::kAscii);
  return address->is_v6() ? "dns; [IPv6:" + std::string(host) + ']'
                          : "dns; [" + std::string(host) + ']';
}

void AppendRecipientFields(std::string& to, const Recipient& recipient, Charset charset) {
  const std::string original = TypedOrcpt(recipient.orcpt, charset);
  if (!original.empty()) AppendField(to, "Original-Recipient", original);
  AppendField(to, "Final-Recipient", TypedAddress(recipient.address, charset));
  AppendField(to, "Action", ActionName(recipient.action));
  AppendField(to, "Status", StatusFor(recipient.action, recipient.status));
  if (!recipient.remote.empty()) AppendField(to, "Remote-MTA", HostField(recipient.remote));
  const std::string said = OneLine(recipient.diagnostic, charset, kMaxDiagnosticOctets);
  if (!said.empty()) {
    AppendField(to, "Diagnostic-Code", (recipient.remote_words ? "smtp; " : "x-local; ") + said);
  }
  if (recipient.last_attempt_us > 0) {
    AppendField(to, "Last-Attempt-Date", DateTime(recipient.last_attempt_us));
  }
  if (recipient.action == Action::kDelayed && recipient.will_retry_until_us > 0) {
    AppendField(to, "Will-Retry-Until", DateTime(recipient.will_retry_until_us));
  }
}

// The body of message/delivery-status: groups of fields with an empty line between two.
std::string StatusFields(const Report& report, Charset charset) {
  std::string fields;
  if (!report.envid.empty()) {
    AppendField(fields, "Original-Envelope-Id", Token(report.envid, charset));
  }
  AppendField(fields, "Reporting-MTA", "dns; " + Token(report.host, Charset::kAscii));
  if (report.arrival_us > 0) AppendField(fields, "Arrival-Date", DateTime(report.arrival_us));
  for (const Recipient& recipient : report.recipients) {
    fields += "\r\n";
    AppendRecipientFields(fields, recipient, charset);
  }
  return fields;
}

struct Part {
  std::string type;
  std::string_view description;
  std::string body;
};

Part ReturnedPart(const Report& report, bool& whole_message) {
  const bool failed = std::ranges::any_of(
      report.recipients, [](const Recipient& r) { return r.action == Action::kFailed; });
  std::optional<std::string> whole;
  if (report.complete && ReturnsWholeMessage(report.ret, failed)) {
    whole = WholeMessage(report.returned);
  }
  whole_message = whole.has_value();
  std::string body = whole ? *std::move(whole) : HeaderSection(report.returned);
  // Global forms promise UTF-8 in headers (RFC 6532); other 8-bit text is only passed on.
  const std::string header = HeaderSection(report.returned);
  const bool global = report.smtputf8 && !IsAscii(header) && IsValidUtf8(header);
  if (whole_message) {
    return {global ? "message/global" : "message/rfc822", "The message", std::move(body)};
  }
  return {global ? "message/global-headers" : "text/rfc822-headers",
          "The header section of the message", std::move(body)};
}

// One that none of the parts holds. It depends on them, so that no message can be written to hold
// the boundary of its own notice.
std::string Boundary(std::string_view notice_id, const std::vector<Part>& parts) {
  uint32_t mix = Crc32c(notice_id);
  for (const Part& part : parts) mix = Crc32c(part.body, mix);
  for (;; mix = Crc32c("again", mix)) {
    char hex[16];
    std::snprintf(hex, sizeof hex, "%08x", mix);
    // "=_" occurs in neither quoted-printable nor base64 (RFC 2045 §6.7).
    const std::string boundary = std::string("=_report_") + hex;
    if (std::ranges::none_of(
            parts, [&](const Part& part) { return part.body.find(boundary) != part.body.npos; })) {
      return boundary;
    }
  }
}

void AppendPart(std::string& to, const Part& part, std::string_view boundary) {
  to += "--";
  to += boundary;
  to += "\r\n";
  AppendField(to, "Content-Type", part.type);
  AppendField(to, "Content-Description", part.description);
  AppendField(to, "Content-Transfer-Encoding", IsAscii(part.body) ? "7bit" : "8bit");
  to += "\r\n";
  to += part.body;
  to += "\r\n";
}

}  // namespace

Notice Compose(const Report& report) {
  Notice notice;
  const Charset charset = report.smtputf8 ? Charset::kUtf8 : Charset::kAscii;
  Part returned = ReturnedPart(report, notice.whole_message);
  std::string words = Words(report, charset, notice.whole_message);
  std::string fields = StatusFields(report, charset);
  const std::string status_type =
      IsAscii(fields) ? "delivery-status" : "global-delivery-status";  // RFC 6533 §4
  const std::string words_type =
      IsAscii(words) ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8";

  const std::vector<Part> parts = {
      {words_type, "What happened", std::move(words)},
      {"message/" + status_type, "Delivery report", std::move(fields)},
      std::move(returned),
  };
  const std::string boundary = Boundary(report.notice_id, parts);
  const std::string host = Token(report.host, Charset::kAscii);
  // Whoever has a UTF-8 address sent with SMTPUTF8, or could not have sent.
  const std::string recipient = Token(report.sender, charset);

  std::string& content = notice.content;
  AppendField(content, "Date", DateTime(report.now_us));
  AppendField(content, "From", "Mail Delivery System <MAILER-DAEMON@" + host + '>');
  AppendField(content, "To", '<' + recipient + '>');
  AppendField(content, "Subject", Subject(report.kind));
  AppendField(content, "Message-ID",
              '<' + Token(report.notice_id, Charset::kAscii) + '@' + host + '>');
  AppendField(content, "Auto-Submitted", "auto-replied");  // RFC 3834 §5
  AppendField(content, "MIME-Version", "1.0");
  AppendField(content, "Content-Type",
              "multipart/report; report-type=" + status_type + "; boundary=\"" + boundary + '"');
  notice.smtputf8 = !IsAscii(content);
  notice.eight_bit =
      std::ranges::any_of(parts, [](const Part& part) { return !IsAscii(part.body); });
  AppendField(content, "Content-Transfer-Encoding", notice.eight_bit ? "8bit" : "7bit");
  content += "\r\nThis is a report about mail, in the form of RFC 3464.\r\n\r\n";
  for (const Part& part : parts) AppendPart(content, part, boundary);
  content += "--" + boundary + "--\r\n";
  return notice;
}

}  // namespace postern::bounced
