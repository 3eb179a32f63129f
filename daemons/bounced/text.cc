#include "daemons/bounced/text.h"

#include <algorithm>
#include <cstdio>

#include "common/base/escape.h"
#include "common/log/timestamp.h"
#include "daemons/bounced/limits.h"

namespace postern::bounced {
namespace {

uint8_t Byte(char c) { return static_cast<uint8_t>(c); }

bool IsBlank(char c) { return Byte(c) <= ' ' || c == '\x7F'; }

// C1 control characters, line and paragraph separators, direction marks: they are no text.
bool IsHidden(std::string_view character) {
  if (character.size() == 2) return character[0] == '\xC2' && Byte(character[1]) < 0xA0;
  if (character.size() != 3 || character[0] != '\xE2') return false;
  if (Byte(character[1]) == 0x80) return Byte(character[2]) >= 0xA8 && Byte(character[2]) <= 0xAE;
  return Byte(character[1]) == 0x81 && Byte(character[2]) >= 0xA6 && Byte(character[2]) <= 0xA9;
}

// The length in octets of the first character (or bad byte) of `text`, which is appended, or "?".
size_t AppendCharacter(std::string& to, std::string_view text, Charset charset) {
  const size_t length = Utf8SequenceLength(text);
  if (length == 1 && !IsBlank(text[0])) {
    to += text[0];
  } else if (length > 1 && charset == Charset::kUtf8 && !IsHidden(text.substr(0, length))) {
    to += text.substr(0, length);
  } else {
    to += '?';
  }
  return std::max<size_t>(length, 1);
}

unsigned CodePoint(std::string_view character) {
  unsigned value = Byte(character[0]) & (0xFFu >> (character.size() + 1));
  for (const char c : character.substr(1)) value = value << 6 | (Byte(c) & 0x3F);
  return value;
}

void AppendCodePoint(std::string& to, unsigned value) {
  char text[16];
  const int length = std::snprintf(text, sizeof text, "\\x{%X}", value);
  to.append(text, static_cast<size_t>(length));
}

// utf-8-addr-xtext (RFC 6533 §3): ASCII, other characters and those that would confuse a reader of
// the form as \x{HEX}.
std::string Utf8AddressXtext(std::string_view address) {
  std::string text;
  while (!address.empty()) {
    const size_t length = std::max<size_t>(Utf8SequenceLength(address), 1);
    const std::string_view character = address.substr(0, length);
    if (length > 1) {
      AppendCodePoint(text, CodePoint(character));
    } else if (character[0] == '\\' || character[0] == '+' || character[0] == '=') {
      AppendCodePoint(text, Byte(character[0]));
    } else {
      text += character[0];
    }
    address.remove_prefix(length);
  }
  return text;
}

// Where a line that may hold `room` octets ends: behind the last word that fits, else inside it.
size_t LineEnd(std::string_view text, size_t room) {
  if (text.size() <= room) return text.size();
  const size_t space = text.rfind(' ', room);
  if (space != text.npos && space > 0) return space;
  const size_t next = std::min(text.find(' ', room), text.size());
  if (next <= kMaxLineOctets - kFoldOctets) return next;
  size_t end = kMaxLineOctets - kFoldOctets;
  while (end > 1 && (Byte(text[end]) & 0xC0) == 0x80) --end;
  return end;
}

}  // namespace

bool IsAscii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return Byte(c) < 0x80; });
}

std::string OneLine(std::string_view foreign, Charset charset, size_t max_octets) {
  std::string line;
  bool blank = false;
  while (!foreign.empty()) {
    if (IsBlank(foreign[0])) {
      blank = true;
      foreign.remove_prefix(1);
      continue;
    }
    if (line.size() >= max_octets) return line + "...";
    if (blank && !line.empty()) line += ' ';
    blank = false;
    foreign.remove_prefix(AppendCharacter(line, foreign, charset));
  }
  return line;
}

std::string Token(std::string_view foreign, Charset charset) {
  std::string token;
  while (!foreign.empty()) {
    if (token.size() >= kMaxTokenOctets) return token + "...";
    if (foreign[0] == ' ') {
      token += ' ';
      foreign.remove_prefix(1);
    } else {
      foreign.remove_prefix(AppendCharacter(token, foreign, charset));
    }
  }
  return token;
}

std::string TypedAddress(std::string_view address, Charset charset) {
  const std::string clean = Token(address, Charset::kUtf8);
  if (IsAscii(clean)) return "rfc822;" + clean;
  return "utf-8;" + (charset == Charset::kUtf8 ? clean : Utf8AddressXtext(clean));
}

std::string TypedOrcpt(std::string_view orcpt, Charset charset) {
  const size_t semicolon = orcpt.find(';');
  if (semicolon == orcpt.npos || semicolon == 0) return "";
  const std::string type = Token(orcpt.substr(0, semicolon), Charset::kAscii);
  if (type.find(' ') != type.npos) return "";
  const std::string_view original = orcpt.substr(semicolon + 1);
  const bool utf8 = type.size() == 5 && (type[0] | 0x20) == 'u' && (type[1] | 0x20) == 't' &&
                    (type[2] | 0x20) == 'f' && type.substr(3) == "-8";
  if (!utf8) return type + ";" + Token(original, Charset::kAscii);
  const std::string address = Token(original, Charset::kUtf8);
  return type + ";" + (charset == Charset::kUtf8 ? address : Utf8AddressXtext(address));
}

void AppendField(std::string& to, std::string_view name, std::string_view value) {
  to += name;
  to += ':';
  size_t used = name.size() + 1;
  do {
    const size_t room = used < kFoldOctets ? kFoldOctets - used : 1;
    const size_t end = LineEnd(value, room);
    to += ' ';
    to += value.substr(0, end);
    to += "\r\n";
    value.remove_prefix(end);
    while (value.starts_with(' ')) value.remove_prefix(1);
    used = 1;
  } while (!value.empty());
}

void AppendWrapped(std::string& to, std::string_view indent, std::string_view text) {
  do {
    const size_t end = LineEnd(text, kFoldOctets - indent.size());
    to += indent;
    to += text.substr(0, end);
    to += "\r\n";
    text.remove_prefix(end);
    while (text.starts_with(' ')) text.remove_prefix(1);
  } while (!text.empty());
}

std::string DateTime(int64_t unix_us) {
  constexpr std::string_view kDays = "ThuFriSatSunMonTueWed";  // 1970-01-01 was a Thursday
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  constexpr int64_t kDayUs = 86'400'000'000;
  const log::CivilTime time = log::ToCivil(unix_us);
  const int64_t midnight_us =
      log::FromCivil({.year = time.year, .month = time.month, .day = time.day});
  const int64_t weekday = ((midnight_us / kDayUs) % 7 + 7) % 7;
  std::string date(kDays.substr(static_cast<size_t>(weekday) * 3, 3));
  date += ", " + std::to_string(time.day) + ' ';
  date += kMonths.substr(static_cast<size_t>(time.month - 1) * 3, 3);
  char rest[64];
  const int length = std::snprintf(rest, sizeof rest, " %04d %02d:%02d:%02d +0000", time.year,
                                   time.hour, time.minute, time.second);
  date.append(rest, static_cast<size_t>(length));
  return date;
}

}  // namespace postern::bounced
