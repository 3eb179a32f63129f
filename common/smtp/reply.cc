#include "common/smtp/reply.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/smtp/ascii.h"
#include "common/smtp/limits.h"

namespace postern::smtp {
namespace {

// "0" to "999", without a leading zero, at the front of `text`; -1: none.
int TakeNumber(std::string_view& text) {
  int value = 0;
  size_t digits = 0;
  while (digits < text.size() && digits < 4 && IsDigit(text[digits])) {
    value = value * 10 + (text[digits++] - '0');
  }
  if (digits == 0 || digits > 3 || (digits > 1 && text[0] == '0')) return -1;
  text.remove_prefix(digits);
  return value;
}

bool TakeDot(std::string_view& text) {
  if (!text.starts_with('.')) return false;
  text.remove_prefix(1);
  return true;
}

void AppendNumber(std::string& to, int value) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  to.append(digits, end);
}

// How much of `line`, which is longer than `room`, goes onto one wire line: up to a space if one is
// in the second half, and never into a UTF-8 character.
size_t BreakAt(std::string_view line, size_t room) {
  const size_t space = line.rfind(' ', room - 1);
  if (space != line.npos && space >= room / 2) return space + 1;
  size_t cut = room;
  while (cut > room - 4 && (static_cast<uint8_t>(line[cut]) & 0xC0) == 0x80) --cut;
  return cut;
}

void AppendPrintable(std::string& to, std::string_view line) {
  const size_t start = to.size();
  to += line;
  for (size_t i = start; i < to.size(); ++i) {
    if (!IsVisible(to[i]) && to[i] != ' ') to[i] = '?';
  }
}

}  // namespace

Parsed<EnhancedCode> EnhancedCode::Parse(std::string_view text) {
  const auto malformed = [] {
    return Malformed("an enhanced status code is class.subject.detail");
  };
  const int klass = TakeNumber(text);
  if ((klass != 2 && klass != 4 && klass != 5) || !TakeDot(text)) return malformed();
  const int subject = TakeNumber(text);
  if (subject < 0 || !TakeDot(text)) return malformed();
  const int detail = TakeNumber(text);
  if (detail < 0 || !text.empty()) return malformed();
  return EnhancedCode{static_cast<uint16_t>(klass), static_cast<uint16_t>(subject),
                      static_cast<uint16_t>(detail)};
}

std::string EnhancedCode::ToString() const {
  std::string text;
  if (!present()) return text;
  AppendNumber(text, klass);
  text += '.';
  AppendNumber(text, subject);
  text += '.';
  AppendNumber(text, detail);
  return text;
}

std::string Reply::ToString() const {
  std::string line = std::to_string(code);
  if (enhanced.present()) line += ' ' + enhanced.ToString();
  if (!text.empty()) line += ' ';
  for (const char c : text) {
    if (c == '\n') {
      line += "; ";
    } else {
      line += c;
    }
  }
  return line;
}

void AppendReply(const Reply& reply, std::string& wire) {
  AppendReply(reply.code, reply.enhanced, reply.text, wire);
}

void AppendReply(int code, const EnhancedCode& enhanced, std::string_view text, std::string& wire) {
  std::string prefix = enhanced.ToString();
  if (!prefix.empty()) prefix += ' ';
  const size_t room = kReplyLine - 2 - 4 - prefix.size();
  std::string_view left = text;
  for (bool last = false; !last;) {
    std::string_view line = left.substr(0, left.find('\n'));
    if (line.size() > room) {
      line = line.substr(0, BreakAt(line, room));
      left.remove_prefix(line.size());
    } else {
      last = line.size() == left.size();
      left.remove_prefix(last ? line.size() : line.size() + 1);
    }
    AppendNumber(wire, code);
    wire += last ? ' ' : '-';
    wire += prefix;
    AppendPrintable(wire, line);
    wire += "\r\n";
  }
}

std::string FormatReply(const Reply& reply) {
  std::string wire;
  AppendReply(reply, wire);
  return wire;
}

}  // namespace postern::smtp
