// common/mime/trace.h — the trace fields a hop adds (RFC 5321 §4.4, S08).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::mime {

// What the keyword after "with" says (RFC 3848, RFC 6531 §4.3).
struct Protocol {
  bool extended = true;  // EHLO was said
  bool tls = false;
  bool authenticated = false;
  bool utf8 = false;  // the transaction used SMTPUTF8
  bool lmtp = false;
};
// SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, LMTP..., UTF8SMTP..., UTF8LMTP... SMTP without EHLO knows
// none of the rest.
std::string_view WithProtocol(const Protocol& protocol);

struct ReceivedField {
  std::string helo;         // what the client called itself
  std::string client_name;  // verified, or empty
  std::string client_ip;    // "192.0.2.1", "2001:db8::1"; empty: local submission
  std::string local_user;   // local submission: who
  std::string by;           // our host name
  Protocol protocol;
  std::string id;             // of the message in our queue
  std::string for_recipient;  // only with exactly one recipient (S08); empty: left out
  int64_t unix_seconds = 0;
  int offset_minutes = 0;
};

// The field, folded, with its CRLF. What strangers chose is made harmless and bounded
// (kMaxForeignWord).
std::string FormatReceived(const ReceivedField& field);

// "Return-Path: <sender>", for final delivery; `sender` without brackets, empty: null.
std::string FormatReturnPath(std::string_view sender);

}  // namespace postern::mime
