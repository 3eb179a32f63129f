// tools/sendmail/submission.h — one message over SMTP, blocking, to the server on this machine.
#pragma once

#include <string>
#include <vector>

#include "common/smtp/address.h"

namespace postern::sendmail {

struct Mail {
  smtp::ReversePath sender;
  std::vector<smtp::ForwardPath> recipients;
  std::string content;  // CRLF lines
  bool has_8bit = false;
  bool utf8_header = false;
  std::string notify;  // of each recipient; empty: not said
  std::string envid;   // not yet as xtext
  std::string ret;
};

// `status` is of sysexits.h: EX_OK, EX_TEMPFAIL (4yz, or the server is gone), EX_NOUSER (an address
// the server does not know), EX_DATAERR (the sender's address), EX_UNAVAILABLE (any other 5yz).
// A message goes to those recipients that were accepted; `status` and `problems` are then about
// the others, and a permanent refusal is told before a passing one. More recipients than the server
// takes at once (452) get the message in several transactions.
struct Outcome {
  int status = 0;
  std::vector<std::string> problems;  // a line each, foreign bytes escaped
  std::string accepted;               // what the server said when it took the message
};

// Speaks on `fd`, a connected stream socket that stays the caller's.
Outcome Submit(int fd, const std::string& hostname, const Mail& mail);

// SMTP from `in` and `out` passed through to the server on `fd` and back, until the server closes
// (-bs); commands wait for replies (pacer.h). Returns a status of sysexits.h.
int PassThrough(int in, int out, int fd);

}  // namespace postern::sendmail
