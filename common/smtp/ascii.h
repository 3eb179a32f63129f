// common/smtp/ascii.h — letters of ASCII, whatever the locale says.
#pragma once

#include <string>
#include <string_view>

namespace postern::smtp {

constexpr bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsAscii(char c) { return static_cast<unsigned char>(c) < 0x80; }
// Visible: no control character and no space; octets of UTF-8 count as visible.
constexpr bool IsVisible(char c) { return static_cast<unsigned char>(c) > 32 && c != 127; }
constexpr char LowerCase(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr char UpperCase(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

inline std::string AsciiLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = LowerCase(c);
  return lower;
}

inline std::string AsciiUpper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = UpperCase(c);
  return upper;
}

constexpr bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (LowerCase(a[i]) != LowerCase(b[i])) return false;
  }
  return true;
}

constexpr bool IsAllAscii(std::string_view text) {
  for (const char c : text) {
    if (!IsAscii(c)) return false;
  }
  return true;
}

constexpr bool IsAllVisible(std::string_view text) {
  for (const char c : text) {
    if (!IsVisible(c)) return false;
  }
  return true;
}

}  // namespace postern::smtp
