// daemons/smtpc/form.h — how a message must go to a server with given offers, or that it cannot.
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/ipc/protocol/delivery.h"
#include "common/mime/header_scanner.h"
#include "daemons/smtpc/connection.h"

namespace postern::smtpc {

// What the content is, as far as it was looked at.
struct ContentTraits {
  bool eight_bit = false;
  bool eight_bit_header = false;
};
// Looks at content piece by piece, the header section first.
class Examiner {
 public:
  void Add(std::string_view piece);
  ContentTraits traits() const { return {eight_bit_, eight_bit_ && header_.has_8bit()}; }

 private:
  bool eight_bit_ = false;
  mime::HeaderScanner header_;
};
ContentTraits Examine(std::string_view content);
// Whether a server with these offers could be unable to take the content, so that all of it must be
// looked at (and not only what the sender declared counts).
bool MustBeExamined(const protocol::delivery::Job& job, const Offers& offers);

struct Form {
  bool possible = true;
  std::string status;  // why not: "5.6.3"
  std::string reason;
  bool chunking = false;  // BDAT instead of DATA
  std::string mail;       // the MAIL command without CRLF
  bool dsn = false;       // DSN parameters are passed on
  bool utf8 = false;      // SMTPUTF8 is said
};
// Of the message; what recipients need is CanGo's business.
Form FormFor(const protocol::delivery::Job& job, const ContentTraits& traits, uint64_t octets,
             const Offers& offers);
// False if the recipient's local part needs SMTPUTF8 and the form is without (RFC 6531
// §3.2): 5.6.7, for this recipient alone.
bool CanGo(const protocol::delivery::JobRecipient& recipient, const Form& form);
// The RCPT command without CRLF.
std::string RcptCommand(const protocol::delivery::JobRecipient& recipient, const Form& form);

}  // namespace postern::smtpc
