// daemons/bounced/compose.h — writes a delivery status notification: multipart/report (RFC 6522)
// with words for a person, fields for a program (RFC 3464), and the returned message or its header
// section; in the forms of RFC 6533 where addresses need UTF-8. Pure.
//
// Nearly all it is given comes from strangers: remote replies, addresses, the message itself. None
// of it can begin a line, a field, a part or a header of the notice. The notice names this host and
// nothing else about it: no product, no version.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemons/bounced/limits.h"
#include "daemons/bounced/rules.h"

namespace postern::bounced {

enum class Kind : uint8_t { kFailure, kDelay, kSuccess };

struct Recipient {
  std::string address;  // final recipient, without angle brackets
  std::string orcpt;    // "type;address", the address decoded from xtext; empty: none
  Action action = Action::kFailed;
  std::string status;           // "5.1.1"; what is no status of that action's class becomes X.0.0
  std::string remote;           // host name or IP address of the server asked last; empty: none
  std::string diagnostic;       // why: the remote server's reply, lines joined by LF, or our words
  bool remote_words = false;    // `diagnostic` is the remote server's
  int64_t last_attempt_us = 0;  // Unix time; 0: not known
  int64_t will_retry_until_us = 0;  // kDelayed; 0: not known
};

struct Report {
  Kind kind = Kind::kFailure;
  std::string host;       // ours, as Reporting-MTA
  std::string notice_id;  // unique on this host: the queue id of the notice
  int64_t now_us = 0;
  int64_t arrival_us = 0;  // of the message; 0: not known
  std::string sender;      // envelope sender: who gets the notice; never empty
  std::string envid;       // decoded from xtext; empty: none
  Ret ret = Ret::kNotGiven;
  bool smtputf8 = false;  // the message came with SMTPUTF8, so its sender's side understands it
  // The message, or as much of its beginning as is at hand; must hold the header section.
  std::string_view returned;
  bool complete = false;  // `returned` is the whole message
  std::vector<Recipient> recipients;
};

struct Notice {
  std::string content;     // a whole message, CRLF lines of at most 998 octets, no bare CR, LF, NUL
  bool eight_bit = false;  // needs BODY=8BITMIME
  bool smtputf8 = false;   // has UTF-8 in its own header section: needs SMTPUTF8
  bool whole_message = false;  // the returned message is in it, not only its header section
};

Notice Compose(const Report& report);

}  // namespace postern::bounced
