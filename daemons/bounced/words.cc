#include "daemons/bounced/words.h"

namespace postern::bounced {
namespace {

constexpr std::string_view kIndent = "    ";

struct Meaning {
  std::string_view subject_and_detail;  // of the status, behind its class
  std::string_view advice;
};

// RFC 3463 §3, RFC 7505 (1.10), RFC 6531 §3.5 (6.7).
constexpr Meaning kMeanings[] = {
    {"1.1", "There is no such mailbox. Check the part before the @ for a typing error."},
    {"1.2", "There is no such mail domain. Check the part behind the @ for a typing error."},
    {"1.3", "The address is not written correctly. Check it for a typing error."},
    {"1.6", "The mailbox has moved and left no new address. Ask the recipient for it."},
    {"1.10", "The recipient's domain takes no mail. Ask the recipient for another address."},
    {"2.1", "The mailbox is disabled. Reach the recipient in another way."},
    {"2.2", "The mailbox is full. Try again later, or reach the recipient in another way."},
    {"2.3", "The message is too big for this mailbox. Send a smaller one, or a link."},
    {"3.4", "The message is too big for that server. Send a smaller one, or a link."},
    {"4.1",
     "The other server did not answer. If the address is right, send the message again later."},
    {"4.4", "No mail server was found for the domain. Check the part behind the @."},
    {"4.6", "The message went round in a circle between servers. Tell your postmaster."},
    {"4.7",
     "Delivery was tried until the time for it ran out. Send the message again later, or reach "
     "the recipient in another way."},
    {"6.3", "The other server cannot take the form this message is in. Send it as plain text."},
    {"6.7",
     "The other server cannot take international addresses. Use an address of plain letters."},
    {"7.1",
     "The other server does not accept this message from you. Ask the recipient or your "
     "postmaster why."},
};

std::string_view WhatHappened(Kind kind, bool whole_message) {
  switch (kind) {
    case Kind::kFailure:
      return whole_message ? "Your message could not be delivered to the addresses below and will "
                             "not be tried "
                             "again. It is returned behind this report."
                           : "Your message could not be delivered to the addresses below and will "
                             "not be tried "
                             "again. Its header section is returned behind this report.";
    case Kind::kDelay:
      return "Your message has not been delivered to the addresses below yet. This is only a "
             "warning: delivery will be tried again, and you need not send the message again. Its "
             "header section is returned behind this report.";
    case Kind::kSuccess:
      return "You asked to be told what became of your message. Its header section is returned "
             "behind this report.";
  }
  return {};
}

void AppendQuotation(std::string& to, const Recipient& recipient, Charset charset) {
  const std::string said = OneLine(recipient.diagnostic, charset, kMaxDiagnosticOctets);
  if (said.empty()) return;
  std::string introduction = "The reason:";
  if (recipient.remote_words) {
    introduction = "The server ";
    if (!recipient.remote.empty()) introduction += Token(recipient.remote, charset) + ' ';
    introduction += "said:";
  }
  AppendWrapped(to, kIndent, introduction);
  AppendWrapped(to, "    > ", said);
}

void AppendRecipient(std::string& to, const Recipient& recipient, Charset charset) {
  AppendWrapped(to, "", '<' + Token(recipient.address, charset) + '>');
  AppendWrapped(to, kIndent, Advice(recipient.action, recipient.status));
  if (recipient.action == Action::kDelayed && recipient.will_retry_until_us > 0) {
    AppendWrapped(to, kIndent,
                  "Delivery will be tried until " + DateTime(recipient.will_retry_until_us) + '.');
  }
  if (recipient.action == Action::kFailed || recipient.action == Action::kDelayed) {
    AppendQuotation(to, recipient, charset);
  }
  to += "\r\n";
}

}  // namespace

std::string_view Subject(Kind kind) {
  switch (kind) {
    case Kind::kFailure:
      return "Your message could not be delivered";
    case Kind::kDelay:
      return "Your message is delayed";
    case Kind::kSuccess:
      return "Your message was delivered or passed on";
  }
  return {};
}

std::string_view Advice(Action action, std::string_view status) {
  switch (action) {
    case Action::kDelayed:
      return "Not delivered yet. You need not do anything.";
    case Action::kDelivered:
      return "Delivered into the mailbox.";
    case Action::kRelayed:
      return "Passed on to a server that does not report deliveries: you will hear of a failure, "
             "but "
             "not of success.";
    case Action::kExpanded:
      return "Passed on to the several addresses this one stands for.";
    case Action::kFailed:
      break;
  }
  const std::string_view detail = status.size() > 2 ? status.substr(2) : std::string_view();
  for (const Meaning& meaning : kMeanings) {
    if (meaning.subject_and_detail == detail) return meaning.advice;
  }
  return "The message was refused for good. The words below may say why; if they do not help, ask "
         "your postmaster.";
}

std::string Words(const Report& report, Charset charset, bool whole_message) {
  std::string text;
  AppendWrapped(text, "", "This is the mail system of " + Token(report.host, charset) + '.');
  text += "\r\n";
  AppendWrapped(text, "", WhatHappened(report.kind, whole_message));
  text += "\r\n";
  for (const Recipient& recipient : report.recipients) AppendRecipient(text, recipient, charset);
  return text;
}

}  // namespace postern::bounced
