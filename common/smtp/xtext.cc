#include "common/smtp/xtext.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "common/base/escape.h"

namespace postern::smtp {
namespace {

// Upper case only, as the grammar has it; -1: none.
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsPlainXchar(char c) { return c >= 33 && c <= 126 && c != '+' && c != '='; }

void AppendUtf8(std::string& to, uint32_t point) {
  if (point < 0x80) {
    to += static_cast<char>(point);
  } else if (point < 0x800) {
    to += static_cast<char>(0xC0 | point >> 6);
    to += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    to += static_cast<char>(0xE0 | point >> 12);
    to += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    to += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    to += static_cast<char>(0xF0 | point >> 18);
    to += static_cast<char>(0x80 | (point >> 12 & 0x3F));
    to += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    to += static_cast<char>(0x80 | (point & 0x3F));
  }
}

// Of a valid sequence; a stray octet is its own value.
uint32_t CodePoint(std::string_view character) {
  auto point = static_cast<uint32_t>(static_cast<uint8_t>(character[0]));
  if (character.size() > 1) point &= 0x7Fu >> character.size();
  for (const char c : character.substr(1)) point = point << 6 | (static_cast<uint8_t>(c) & 0x3F);
  return point;
}

}  // namespace

Parsed<std::string> DecodeXtext(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsPlainXchar(text[i])) {
      decoded += text[i];
      continue;
    }
    if (text[i] != '+') return Malformed("xtext holds a character it must encode", i);
    if (i + 2 >= text.size() || HexDigit(text[i + 1]) < 0 || HexDigit(text[i + 2]) < 0) {
      return Malformed("'+' in xtext is not followed by two upper-case hex digits", i);
    }
    decoded += static_cast<char>(HexDigit(text[i + 1]) << 4 | HexDigit(text[i + 2]));
    i += 2;
  }
  return decoded;
}

std::string EncodeXtext(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (IsPlainXchar(c)) {
      encoded += c;
    } else {
      encoded += '+';
      encoded += kDigits[static_cast<uint8_t>(c) >> 4];
      encoded += kDigits[static_cast<uint8_t>(c) & 15];
    }
  }
  return encoded;
}

Parsed<std::string> DecodeUtf8Address(std::string_view text, Utf8 utf8) {
  std::string decoded;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte >= 0x80) {
      const size_t length = Utf8SequenceLength(text.substr(i));
      if (utf8 == Utf8::kRefused || length == 0)
        return Malformed("utf-8 address holds octets it must encode", i);
      decoded += text.substr(i, length);
      i += length;
      continue;
    }
    if (text[i] != '\\') {
      // '+' should be encoded too, and is not by everyone; nothing else can be meant by it.
      if (byte <= 32 || byte == 127 || byte == '=')
        return Malformed("utf-8 address holds a character it must encode", i);
      decoded += text[i++];
      continue;
    }
    const size_t end = text.find('}', i);
    if (text.substr(i, 3) != "\\x{" || end == std::string_view::npos || end - i < 5 ||
        end - i > 9) {
      return Malformed("'\\' in a utf-8 address does not begin \\x{HEX}", i);
    }
    uint32_t point = 0;
    for (const char c : text.substr(i + 3, end - i - 3)) {
      if (HexDigit(c) < 0) return Malformed("\\x{HEX} takes upper-case hex digits", i);
      point = point << 4 | static_cast<uint32_t>(HexDigit(c));
    }
    if (point < 0x20 || point == 0x7F || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
      return Malformed("\\x{HEX} names no character", i);
    }
    AppendUtf8(decoded, point);
    i = end + 1;
  }
  return decoded;
}

std::string EncodeUtf8Address(std::string_view address, Utf8 utf8) {
  std::string encoded;
  while (!address.empty()) {
    const size_t length = std::max<size_t>(Utf8SequenceLength(address), 1);
    const std::string_view character = address.substr(0, length);
    address.remove_prefix(length);
    const bool plain =
        length == 1 ? IsPlainXchar(character[0]) && character[0] != '\\' : utf8 == Utf8::kAllowed;
    if (plain) {
      encoded += character;
    } else {
      char text[16];
      std::snprintf(text, sizeof text, "\\x{%02X}", static_cast<unsigned>(CodePoint(character)));
      encoded += text;
    }
  }
  return encoded;
}

}  // namespace postern::smtp
