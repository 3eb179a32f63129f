// daemons/bounced/returned.h — the message that comes back, cut and cleaned to what a notice may
// hold. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::bounced {

// The header section without the empty line behind it: CRLF lines, whatever the message used; bare
// CR and control characters but tab become "?", lines are cut at kMaxLineOctets, the whole at a
// line's end within kMaxReturnedHeaderOctets.
std::string HeaderSection(std::string_view message);

// The message as it is, if it can stand in a part without a transfer encoding (RFC 2046 §5.2.1 lets
// message/rfc822 have none): at most kMaxReturnedMessageOctets, no NUL, no bare CR or LF, no line
// beyond kMaxLineOctets. Otherwise nullopt. A missing CRLF at the end is added.
std::optional<std::string> WholeMessage(std::string_view message);

}  // namespace postern::bounced
