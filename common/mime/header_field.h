// common/mime/header_field.h — header fields of our own, folded.
#pragma once

#include <string>
#include <string_view>

namespace postern::mime {

// "Name: value" with its CRLF, folded before a space where a line would pass kFoldColumns. A word
// longer than that stays whole up to kMaxLineOctets, and is broken there. Newlines and other
// control characters in `value` become spaces, so that a value can never make a field of its own;
// runs of spaces become one.
std::string FormatField(std::string_view name, std::string_view value);

// What a stranger chose, made harmless as a word in a comment or field: control characters,
// parentheses, brackets <>, backslashes, quotes, ";", ",", spaces and octets that are no UTF-8
// become '?'; cut to `max_octets`, at the end of a character.
std::string Harmless(std::string_view foreign, size_t max_octets);

}  // namespace postern::mime
