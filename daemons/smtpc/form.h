// daemons/smtpc/form.h — how a message must go to a server with given offers, or that it cannot.
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/ipc/protocol/delivery.h"
#include "daemons/smtpc/connection.h"

namespace postern::smtpc {

// What the content is, as far as it was looked at.
struct ContentTraits {
  bool eight_bit = false;
  bool eight_bit_header = false;
};
// Looks at the whole of `content`, of which the header section comes first.
ContentTraits Examine(std::string_view content);

struct Form {
  bool possible = true;
  std::string status;  // why not: "5.6.3"
  std::string reason;
  bool chunking = false;  // BDAT instead of DATA
  std::string mail;       // the MAIL command without CRLF
  bool dsn = false;       // DSN parameters are passed on
  bool utf8 = false;      // SMTPUTF8 is said
};
Form FormFor(const protocol::delivery::Job& job, const ContentTraits& traits, uint64_t octets,
             const Offers& offers);
// The RCPT command without CRLF.
std::string RcptCommand(const protocol::delivery::JobRecipient& recipient, const Form& form);

}  // namespace postern::smtpc
