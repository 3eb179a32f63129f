// daemons/bounced/text.h — foreign text made fit for one line of a notice. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::bounced {

enum class Charset : uint8_t { kAscii, kUtf8 };

bool IsAscii(std::string_view text);

// One line: runs of white space and control characters become one space, none at either end; what
// the charset cannot hold becomes "?". Longer text is cut at `max_octets` and ends in "...".
std::string OneLine(std::string_view foreign, Charset charset, size_t max_octets);

// An address, host or id as a token inside a field: control characters and, for ASCII, 8-bit ones
// become "?"; cut at kMaxTokenOctets.
std::string Token(std::string_view foreign, Charset charset);

// The value of a Final-Recipient or Original-Recipient field (RFC 3464 §2.3.1, RFC 6533 §3):
// "rfc822;a@example.org" or "utf-8;...", the latter with \x{HEX} in the ASCII form.
std::string TypedAddress(std::string_view address, Charset charset);
// The same of a decoded ORCPT parameter ("rfc822;a@example.org"); empty if that has no type.
std::string TypedOrcpt(std::string_view orcpt, Charset charset);

// "name: value" and CRLF, folded at white space, and inside words that pass a line's limit.
void AppendField(std::string& to, std::string_view name, std::string_view value);

// Words wrapped at kFoldOctets, each line behind `indent`.
void AppendWrapped(std::string& to, std::string_view indent, std::string_view text);

// "Tue, 24 Nov 2026 08:57:32 +0000" (RFC 5322 §3.3).
std::string DateTime(int64_t unix_us);

}  // namespace postern::bounced
