// daemons/bounced/limits.h — bounds on what a notice repeats of others' words. All in octets.
#pragma once

#include <cstddef>

namespace postern::bounced {

// RFC 5322 §2.1.1, without CRLF.
inline constexpr size_t kMaxLineOctets = 998;
// Where long lines of ours are folded or wrapped (RFC 5322 §2.1.1: 78).
inline constexpr size_t kFoldOctets = 76;
// Of one remote reply: a few lines of SMTP (RFC 5321 §4.5.3.1.5: 512 each).
inline constexpr size_t kMaxDiagnosticOctets = 2048;
// Of an address, a host name, an envelope id as printed; longer ones are cut. As xtext RFC 3461
// §4.2 and §4.4 allow 500 and 100.
inline constexpr size_t kMaxTokenOctets = 512;
// Of the header section of the returned message.
inline constexpr size_t kMaxReturnedHeaderOctets = 64u << 10;
// Of a whole returned message (RET=FULL); a larger one comes back as its header section.
inline constexpr size_t kMaxReturnedMessageOctets = 256u << 10;

}  // namespace postern::bounced
