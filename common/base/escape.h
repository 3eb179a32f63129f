// common/base/escape.h — foreign bytes made safe to print.
#pragma once

#include <string>
#include <string_view>

namespace postern {

// Control characters, bytes that are no valid UTF-8, backslash and double quote become \n, \r, \t,
// \\, \" or \xHH; everything else stays. Longer input than `max_octets` ends in "...".
std::string Escaped(std::string_view foreign, size_t max_octets = 512);

// The length in octets of the valid UTF-8 sequence (RFC 3629: no surrogates, no overlong forms, at
// most U+10FFFF) at the start of `text`; 0 if there is none.
size_t Utf8SequenceLength(std::string_view text);

bool IsValidUtf8(std::string_view text);

}  // namespace postern
