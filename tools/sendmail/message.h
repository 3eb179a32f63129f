// tools/sendmail/message.h — making a message out of what a program wrote to `sendmail`. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::sendmail {

struct Draft {
  bool take_recipients = false;  // -t
  bool dots_are_text = false;    // -i
  std::string full_name;         // -F
  std::string own_address;       // for a From field
  int64_t unix_seconds = 0;      // for a Date field
  std::string unique;            // for a Message-ID field, without <>
};

struct Prepared {
  std::string content;                 // CRLF lines
  std::vector<std::string> addresses;  // with -t: of To, Cc, Bcc, as they stand there
  bool has_8bit = false;
  bool utf8_header = false;  // RFC 6532: travels with SMTPUTF8 only
};

// LF and CR become CRLF; a "From " line of mbox in front goes; From, Date and Message-ID are added
// where they are missing. With -t the recipients are taken from To, Cc and Bcc — from the Resent-
// fields alone if there are any (RFC 5322 §3.6.6) — and Bcc goes.
Prepared Prepare(std::string_view text, const Draft& draft);

// "From: " with the name quoted, or encoded where it is not ASCII (RFC 2047 §5).
std::string FromField(const std::string& full_name, const std::string& address);

}  // namespace postern::sendmail
