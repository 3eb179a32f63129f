#include "common/base/escape.h"

#include <cstdint>

namespace postern {
namespace {

bool IsContinuation(uint8_t byte) { return (byte & 0xC0) == 0x80; }

void AppendHex(std::string& to, uint8_t byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  to += "\\x";
  to += kDigits[byte >> 4];
  to += kDigits[byte & 15];
}

void AppendEscapedAscii(std::string& to, char c) {
  switch (c) {
    case '\n':
      to += "\\n";
      return;
    case '\r':
      to += "\\r";
      return;
    case '\t':
      to += "\\t";
      return;
    case '\\':
      to += "\\\\";
      return;
    case '"':
      to += "\\\"";
      return;
    default:
      break;
  }
  if (c < 0x20 || c == 0x7F) {
    AppendHex(to, static_cast<uint8_t>(c));
  } else {
    to += c;
  }
}

}  // namespace

size_t Utf8SequenceLength(std::string_view text) {
  if (text.empty()) return 0;
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return text.size() >= 2 && IsContinuation(at(1)) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (text.size() < 3 || !IsContinuation(at(1)) || !IsContinuation(at(2))) return 0;
    if (lead == 0xE0 && at(1) < 0xA0) return 0;   // overlong
    if (lead == 0xED && at(1) >= 0xA0) return 0;  // surrogate
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (text.size() < 4) return 0;
    for (size_t i = 1; i < 4; ++i) {
      if (!IsContinuation(at(i))) return 0;
    }
    if (lead == 0xF0 && at(1) < 0x90) return 0;   // overlong
    if (lead == 0xF4 && at(1) >= 0x90) return 0;  // beyond U+10FFFF
    return 4;
  }
  return 0;
}

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string Escaped(std::string_view foreign, size_t max_octets) {
  const bool cut = foreign.size() > max_octets;
  if (cut) foreign = foreign.substr(0, max_octets);
  std::string printable;
  printable.reserve(foreign.size());
  while (!foreign.empty()) {
    size_t length = Utf8SequenceLength(foreign);
    if (length == 1) {
      AppendEscapedAscii(printable, foreign[0]);
    } else if (length == 2 && static_cast<uint8_t>(foreign[0]) == 0xC2 &&
               static_cast<uint8_t>(foreign[1]) < 0xA0) {
      AppendHex(printable, 0xC2);  // C1 control characters
      AppendHex(printable, static_cast<uint8_t>(foreign[1]));
    } else if (length > 0) {
      printable += foreign.substr(0, length);
    } else {
      AppendHex(printable, static_cast<uint8_t>(foreign[0]));
      length = 1;
    }
    foreign.remove_prefix(length);
  }
  if (cut) printable += "...";
  return printable;
}

}  // namespace postern
