// common/smtp/limits.h — bounds on what an SMTP peer controls, in octets unless the name says
// otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postern::smtp {

// RFC 5321 §4.5.3.1.1 and .2. SMTPUTF8 counts octets too (RFC 6531 §3.3).
inline constexpr size_t kMaxLocalPart = 64;
inline constexpr size_t kMaxDomain = 255;
inline constexpr size_t kMaxLabel = 63;  // RFC 1035 §2.3.4
// §4.5.3.1.3, with the angle brackets. A source route counts (it is stripped afterwards).
inline constexpr size_t kMaxPath = 256;

// §4.5.3.1.4, with CRLF: what a server must take at least.
inline constexpr size_t kCommandLine = 512;
// What the extensions we offer add to 512: SIZE 26 (RFC 1870 §3), BODY 18 (RFC 3030 §3), SMTPUTF8
// 10 (RFC 6531 §3.1), DSN 120 for MAIL and 529 for RCPT (RFC 3461 §4), AUTH= 500 (RFC 4954 §3):
// 1186 at most, rounded up. Longer commands get 500.
inline constexpr size_t kMaxCommandLine = 2048;
// Ours: an over-long line is read on to its end and refused; beyond this nobody waits for the end.
inline constexpr size_t kMaxDiscardedLine = 1 << 20;
// RFC 4954 §4: the lines of a SASL exchange, with CRLF.
inline constexpr size_t kMaxAuthLine = 12288;

// §4.5.3.1.5, with CRLF: no line we send is longer. Servers that send more are read up to
// kMaxReplyLine.
inline constexpr size_t kReplyLine = 512;
inline constexpr size_t kMaxReplyLine = 2048;     // ours: four times what a server may send
inline constexpr size_t kMaxReplyLines = 128;     // ours: EHLO answers seen have up to 25
inline constexpr size_t kMaxReplyOctets = 16384;  // ours: all lines of one reply

// §4.5.3.1.6, with CRLF. Longer lines are taken as they come (mail has them), and counted.
inline constexpr size_t kTextLine = 1000;
// §4.5.3.1.8: a server must take at least so many recipients.
inline constexpr int kMinRecipients = 100;
// RFC 9422 §4: what MAILMAX= and RCPTMAX= may say has six digits.
inline constexpr int kMaxAnnouncedLimit = 999'999;

// RFC 3461 §4.4: ENVID at most 100 characters; §4.2: ORCPT at most 500. Both as encoded.
inline constexpr size_t kMaxEnvid = 100;
inline constexpr size_t kMaxOrcpt = 500;
inline constexpr size_t kMaxAuthParameter = 500;  // RFC 4954 §5, as encoded
inline constexpr size_t kMaxSizeDigits = 20;      // RFC 1870 §4
inline constexpr size_t kMaxBdatDigits = 18;      // ours: more is no chunk that could ever arrive
inline constexpr size_t kMaxMechanism = 20;       // RFC 4422 §3.1: name of a SASL mechanism

}  // namespace postern::smtp
