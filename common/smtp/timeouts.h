// common/smtp/timeouts.h — RFC 5321 §4.5.3.2: how long a client must wait at least, and a server.
// One table; the configuration's defaults are checked against it.
#pragma once

#include <chrono>

namespace postern::smtp {

// The client waits for ...
inline constexpr std::chrono::seconds kGreetingTimeout{5 * 60};          // §4.5.3.2.1 the 220
inline constexpr std::chrono::seconds kMailTimeout{5 * 60};              // .2 the answer to MAIL
inline constexpr std::chrono::seconds kRcptTimeout{5 * 60};              // .3 and to RCPT
inline constexpr std::chrono::seconds kDataInitiationTimeout{2 * 60};    // .4 the 354
inline constexpr std::chrono::seconds kDataBlockTimeout{3 * 60};         // .5 each write of content
inline constexpr std::chrono::seconds kDataTerminationTimeout{10 * 60};  // .6 the answer to the end
inline constexpr std::chrono::seconds kOtherCommandTimeout{5 * 60};      // ours: EHLO, RSET, QUIT

// The server waits for ...
inline constexpr std::chrono::seconds kServerTimeout{5 * 60};  // .7 the next command

}  // namespace postern::smtp
