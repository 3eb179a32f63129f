#include "common/log/encode.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/base/bytes.h"
#include "common/base/escape.h"
#include "common/log/timestamp.h"

namespace postern::log {
namespace {

constexpr int kMailFacility = 2;  // RFC 3164 §4.1.1
constexpr std::string_view kCutMark = "...";
constexpr size_t kTailOctets = 32;  // for the "truncated" field and the end of the line
constexpr char kHex[] = "0123456789abcdef";

// Bytes that need no thought in any layout.
constexpr std::array<bool, 256> kSafe = [] {
  std::array<bool, 256> safe{};
  for (int c = 0x20; c < 0x7F; ++c) safe[static_cast<size_t>(c)] = c != '"' && c != '\\';
  return safe;
}();

bool IsSafe(char c) { return kSafe[static_cast<uint8_t>(c)]; }

// What may stand in a plain line without quotes.
bool IsBare(std::string_view value) {
  return !value.empty() &&
         std::ranges::all_of(value, [](char c) { return IsSafe(c) && c != ' ' && c != '='; });
}

// Characters that move the cursor, end a line for some programs, or turn the direction of text.
bool IsTreacherous(std::string_view character) {
  if (character.size() == 2) {
    return character[0] == '\xC2' && static_cast<uint8_t>(character[1]) < 0xA0;  // C1
  }
  if (character.size() != 3 || character[0] != '\xE2') return false;
  const uint8_t second = static_cast<uint8_t>(character[1]);
  const uint8_t third = static_cast<uint8_t>(character[2]);
  if (second == 0x80) return third >= 0xA8 && third <= 0xAE;  // U+2028 to U+202E
  return second == 0x81 && third >= 0xA6 && third <= 0xA9;    // U+2066 to U+2069
}

void AppendHexByte(std::string& to, std::string_view before, uint8_t byte) {
  to += before;
  to += kHex[byte >> 4];
  to += kHex[byte & 15];
}

void AppendJsonUnit(std::string& to, unsigned unit) {
  to += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) to += kHex[(unit >> shift) & 15];
}

void AppendControl(std::string& to, char c, bool json) {
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
    default:
      break;
  }
  if (json) {
    AppendJsonUnit(to, static_cast<uint8_t>(c));
  } else {
    AppendHexByte(to, "\\x", static_cast<uint8_t>(c));
  }
}

void AppendTreacherous(std::string& to, std::string_view character, bool json) {
  if (!json) {
    for (const char c : character) AppendHexByte(to, "\\x", static_cast<uint8_t>(c));
    return;
  }
  unsigned unit = static_cast<uint8_t>(character[0]) & (character.size() == 2 ? 0x1F : 0x0F);
  for (const char c : character.substr(1)) unit = unit << 6 | (static_cast<uint8_t>(c) & 0x3F);
  AppendJsonUnit(to, unit);
}

// Appends the first character (or bad byte) of `text`, returns its length.
size_t AppendCharacter(std::string& to, std::string_view text, bool json) {
  const size_t length = Utf8SequenceLength(text);
  const char c = text[0];
  if (length == 0) {
    AppendHexByte(to, json ? "\\\\x" : "\\x", static_cast<uint8_t>(c));
    return 1;
  }
  if (length > 1) {
    const std::string_view character = text.substr(0, length);
    if (IsTreacherous(character)) {
      AppendTreacherous(to, character, json);
    } else {
      to += character;
    }
    return length;
  }
  if (c == '"') {
    to += "\\\"";
  } else if (c == '\\') {
    to += json ? "\\\\\\\\" : "\\\\";
  } else {
    AppendControl(to, c, json);
  }
  return 1;
}

void AppendEscaped(std::string& to, std::string_view value, bool json) {
  while (!value.empty()) {
    const size_t safe =
        static_cast<size_t>(std::ranges::find_if_not(value, IsSafe) - value.begin());
    to += value.substr(0, safe);
    value.remove_prefix(safe);
    if (!value.empty()) value.remove_prefix(AppendCharacter(to, value, json));
  }
}

// At most kMaxValueOctets, not ending inside a character.
std::string_view Cut(std::string_view value) {
  if (value.size() <= kMaxValueOctets) return value;
  size_t end = kMaxValueOctets;
  for (int i = 0; i < 3 && (static_cast<uint8_t>(value[end]) & 0xC0) == 0x80; ++i) --end;
  return value.substr(0, end);
}

void AppendNumber(std::string& to, int64_t value) {
  char digits[24];
  to.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

void AppendDaemon(std::string& to, const Head& head) {
  to += head.daemon;
  if (head.index < 0) return;
  to += '/';
  AppendNumber(to, head.index);
}

char UpperCase(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

}  // namespace

void Encoder::Begin(Layout layout, const Head& head) {
  layout_ = layout;
  truncated_ = false;
  text_.clear();
  journal_.clear();
  switch (layout) {
    case Layout::kPlain:
    case Layout::kJson:
      return BeginLine(head);
    case Layout::kSyslogPlain:
    case Layout::kSyslogJson:
      return BeginSyslog(head);
    case Layout::kJournal:
      return BeginJournal(head);
  }
}

void Encoder::BeginLine(const Head& head) {
  if (json()) {
    text_ += "{\"time\":\"";
    text_ += head.timestamp;
    text_ += "\",\"daemon\":\"";
    AppendDaemon(text_, head);
    text_ += "\",\"pid\":";
    AppendNumber(text_, head.pid);
    text_ += ",\"severity\":\"";
    text_ += SeverityName(head.severity);
    text_ += "\",\"event\":\"";
    text_ += head.event;
    text_ += '"';
    return;
  }
  text_ += head.timestamp;
  text_ += ' ';
  AppendDaemon(text_, head);
  text_ += '[';
  AppendNumber(text_, head.pid);
  text_ += "] ";
  text_ += SeverityName(head.severity);
  text_ += ' ';
  text_ += head.event;
}

void Encoder::BeginSyslog(const Head& head) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const CivilTime time = ToCivil(head.time_us);
  text_ += '<';
  AppendNumber(text_, kMailFacility * 8 + SyslogSeverity(head.severity));
  text_ += '>';
  text_ += kMonths.substr(static_cast<size_t>(time.month - 1) * 3, 3);
  text_ += time.day < 10 ? "  " : " ";  // RFC 3164 §4.1.2: the day is padded with a space
  AppendNumber(text_, time.day);
  text_ += ' ';
  text_ += head.timestamp.substr(11, 8);
  text_ += " postern-";
  text_ += head.daemon;
  text_ += '[';
  AppendNumber(text_, head.pid);
  text_ += "]: ";
  if (json()) {
    BeginLine(head);
  } else {
    text_ += head.event;
  }
}

void Encoder::BeginJournal(const Head& head) {
  text_ += head.event;
  journal_ += "PRIORITY=";
  AppendNumber(journal_, SyslogSeverity(head.severity));
  journal_ += "\nSYSLOG_FACILITY=";
  AppendNumber(journal_, kMailFacility);
  journal_ += "\nSYSLOG_IDENTIFIER=postern-";
  journal_ += head.daemon;
  journal_ += "\nPOSTERN_TIME=";
  journal_ += head.timestamp;
  journal_ += "\nPOSTERN_DAEMON=";
  AppendDaemon(journal_, head);
  journal_ += "\nPOSTERN_EVENT=";
  journal_ += head.event;
  journal_ += '\n';
}

void Encoder::Name(std::string_view key, std::string_view suffix) {
  text_ += json() ? ",\"" : " ";
  text_ += key;
  text_ += suffix;
  text_ += json() ? "\":" : "=";
}

// The journal stores any bytes. A value with control characters takes the form with its length in
// front (64 bits, little-endian), so that a newline in it cannot begin a field of its own.
void Encoder::JournalField(std::string_view key, std::string_view suffix, std::string_view value) {
  journal_ += "POSTERN_";
  for (const char c : key) journal_ += UpperCase(c);
  for (const char c : suffix) journal_ += UpperCase(c);
  const bool binary =
      std::ranges::any_of(value, [](char c) { return static_cast<uint8_t>(c) < 0x20; });
  if (binary) {
    journal_ += '\n';
    AppendLittleEndian(journal_, uint64_t{value.size()});
  } else {
    journal_ += '=';
  }
  journal_ += value;
  journal_ += '\n';
}

void Encoder::KeepIfFits(size_t text_before, size_t journal_before) {
  if (text_.size() + kTailOctets <= kMaxLineOctets &&
      journal_.size() + kTailOctets <= kMaxLineOctets) {
    return;
  }
  text_.resize(text_before);
  journal_.resize(journal_before);
  truncated_ = true;
}

void Encoder::Text(std::string_view key, std::string_view value) {
  const size_t text_before = text_.size();
  const size_t journal_before = journal_.size();
  const std::string_view kept = Cut(value);
  const bool cut = kept.size() < value.size();
  Name(key, "");
  const bool quoted = json() || cut || !IsBare(kept);
  if (quoted) text_ += '"';
  AppendEscaped(text_, kept, json());
  if (cut) text_ += kCutMark;
  if (quoted) text_ += '"';
  if (layout_ == Layout::kJournal) JournalField(key, "", kept);
  KeepIfFits(text_before, journal_before);
}

void Encoder::Integer(std::string_view key, int64_t value) {
  char digits[24];
  Number(key, "", {digits, std::to_chars(digits, digits + sizeof digits, value).ptr});
}

void Encoder::Unsigned(std::string_view key, uint64_t value) {
  char digits[24];
  Number(key, "", {digits, std::to_chars(digits, digits + sizeof digits, value).ptr});
}

void Encoder::Boolean(std::string_view key, bool value) {
  Number(key, "", value ? "true" : "false");
}

void Encoder::Number(std::string_view key, std::string_view suffix, std::string_view digits) {
  const size_t text_before = text_.size();
  const size_t journal_before = journal_.size();
  Name(key, suffix);
  text_ += digits;
  if (layout_ == Layout::kJournal) JournalField(key, suffix, digits);
  KeepIfFits(text_before, journal_before);
}

std::string_view Encoder::End() {
  if (truncated_) text_ += json() ? ",\"truncated\":true" : " truncated=true";
  if (json()) text_ += '}';
  switch (layout_) {
    case Layout::kPlain:
    case Layout::kJson:
      text_ += '\n';
      return text_;
    case Layout::kSyslogPlain:
    case Layout::kSyslogJson:
      return text_;
    case Layout::kJournal:
      journal_ += "MESSAGE=";
      journal_ += text_;
      journal_ += '\n';
      return journal_;
  }
  return {};
}

}  // namespace postern::log
