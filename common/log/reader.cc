#include "common/log/reader.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/base/escape.h"
#include "common/log/name.h"
#include "common/log/timestamp.h"

namespace postern::log {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A number, true, false or a duration's "inf": what stands in JSON without quotes.
bool IsBareJson(std::string_view text) {
  if (text == "true" || text == "false") return true;
  if (text.starts_with('-')) text.remove_prefix(1);
  bool digit_before = false;
  bool dot = false;
  for (const char c : text) {
    if (c == '.' && digit_before && !dot) {
      dot = true;
      digit_before = false;
    } else if (c >= '0' && c <= '9') {
      digit_before = true;
    } else {
      return false;
    }
  }
  return digit_before;
}

bool IsBarePlain(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7F'; });
}

void AppendUtf8(std::string& to, unsigned unit) {
  if (unit < 0x80) {
    to += static_cast<char>(unit);
  } else if (unit < 0x800) {
    to += static_cast<char>(0xC0 | unit >> 6);
    to += static_cast<char>(0x80 | (unit & 0x3F));
  } else {
    to += static_cast<char>(0xE0 | unit >> 12);
    to += static_cast<char>(0x80 | (unit >> 6 & 0x3F));
    to += static_cast<char>(0x80 | (unit & 0x3F));
  }
}

// Walks over one line; after the first failure everything else fails too.
class Cursor {
 public:
  explicit Cursor(std::string_view line) : line_(line) {}

  bool ok() const { return !error_.has_value(); }
  bool at_end() const { return at_ == line_.size(); }
  char peek() const { return at_end() ? '\0' : line_[at_]; }
  const ParseError& error() const { return *error_; }
  void Fail(std::string reason) {
    if (ok()) error_ = ParseError{std::move(reason), at_};
  }
  bool Skip(std::string_view token) {
    if (!ok() || !line_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  void Expect(std::string_view token) {
    if (!Skip(token)) Fail("the line's form is broken");
  }
  // Up to the first of `stops` (not consumed), or the end.
  std::string_view Until(std::string_view stops) {
    if (!ok()) return {};
    const size_t end = std::min(line_.find_first_of(stops, at_), line_.size());
    const std::string_view token = line_.substr(at_, end - at_);
    at_ = end;
    return token;
  }
  // A quoted string, its quotes consumed, escapes undone.
  std::string Quoted(bool json) {
    std::string value;
    Expect("\"");
    while (ok() && !Skip("\"")) {
      if (at_end()) {
        Fail("a string does not end");
      } else if (peek() == '\\') {
        ++at_;
        json ? JsonEscape(value) : PlainEscape(value);
      } else {
        Character(value);
      }
    }
    return value;
  }

 private:
  void Character(std::string& value) {
    const size_t length = Utf8SequenceLength(line_.substr(at_));
    if (length == 0 || static_cast<uint8_t>(peek()) < 0x20 || peek() == 0x7F) {
      return Fail("a byte that is never written raw");
    }
    value += line_.substr(at_, length);
    at_ += length;
  }

  // Behind the backslash.
  void PlainEscape(std::string& value) {
    const char c = peek();
    if (c == 'x') {
      ++at_;
      value += static_cast<char>(Hex(2));
      return;
    }
    Simple(c, value);
  }

  void JsonEscape(std::string& value) {
    const char c = peek();
    if (c == 'u') {
      ++at_;
      const unsigned unit = Hex(4);
      if (unit >= 0xD800 && unit <= 0xDFFF) return Fail("surrogates are never written");
      AppendUtf8(value, unit);
      return;
    }
    if (c != '\\') return Simple(c, value);
    // JSON's backslash begins our own escape: \\ is one backslash, \xHH one byte.
    ++at_;
    if (Skip("x")) {
      value += static_cast<char>(Hex(2));
    } else if (Skip("\\\\")) {
      value += '\\';
    } else {
      Fail("unknown escape");
    }
  }

  void Simple(char c, std::string& value) {
    constexpr std::string_view kLetters = "nrt\"\\";
    constexpr std::string_view kMeanings = "\n\r\t\"\\";
    const size_t which = at_end() ? kLetters.npos : kLetters.find(c);
    if (which == kLetters.npos) return Fail("unknown escape");
    value += kMeanings[which];
    ++at_;
  }

  unsigned Hex(size_t digits) {
    unsigned value = 0;
    for (size_t i = 0; i < digits && ok(); ++i) {
      const int digit = at_end() ? -1 : HexDigit(line_[at_]);
      if (digit < 0) {
        Fail("not a hexadecimal digit");
      } else {
        value = value << 4 | static_cast<unsigned>(digit);
        ++at_;
      }
    }
    return value;
  }

  std::string_view line_;
  size_t at_ = 0;
  std::optional<ParseError> error_;
};

void SetTime(Cursor& cursor, std::string_view text, Record& record) {
  const Parsed<int64_t> time = ParseTimestamp(text);
  if (!time) return cursor.Fail(time.error().reason);
  record.time_us = *time;
}

void SetDaemon(Cursor& cursor, std::string_view text, Record& record) {
  const size_t slash = text.find('/');
  record.daemon = text.substr(0, slash);
  if (!IsKey(record.daemon)) return cursor.Fail("not a daemon's name");
  if (slash == text.npos) return;
  const std::optional<int64_t> index = ParseInteger(text.substr(slash + 1));
  if (!index || *index < 0 || *index > 65'535) return cursor.Fail("not a worker's index");
  record.index = static_cast<int>(*index);
}

void SetPid(Cursor& cursor, std::string_view text, Record& record) {
  const std::optional<int64_t> pid = ParseInteger(text);
  if (!pid || *pid < 0) return cursor.Fail("not a pid");
  record.pid = *pid;
}

void SetSeverity(Cursor& cursor, std::string_view text, Record& record) {
  const std::optional<Severity> severity = ParseSeverity(text);
  if (!severity) return cursor.Fail("not a severity");
  record.severity = *severity;
}

void SetEvent(Cursor& cursor, std::string_view text, Record& record) {
  if (!IsEventName(text)) return cursor.Fail("not an event");
  record.event = text;
}

void AddField(Cursor& cursor, std::string_view key, std::string value, Record& record) {
  if (!cursor.ok()) return;
  if (key == "truncated" && value == "true") {
    record.truncated = true;
  } else if (key == "id" && record.id.empty() && !value.empty()) {
    record.id = std::move(value);
  } else if (!IsKey(key)) {
    cursor.Fail("not a key");
  } else if (record.fields.size() >= kMaxFields) {
    cursor.Fail("too many fields");
  } else {
    record.fields.emplace_back(key, std::move(value));
  }
}

void ParsePlain(Cursor& cursor, Record& record) {
  SetTime(cursor, cursor.Until(" "), record);
  cursor.Expect(" ");
  SetDaemon(cursor, cursor.Until("["), record);
  cursor.Expect("[");
  SetPid(cursor, cursor.Until("]"), record);
  cursor.Expect("] ");
  SetSeverity(cursor, cursor.Until(" "), record);
  cursor.Expect(" ");
  SetEvent(cursor, cursor.Until(" "), record);
  while (cursor.ok() && !cursor.at_end()) {
    cursor.Expect(" ");
    const std::string_view key = cursor.Until("= ");
    cursor.Expect("=");
    std::string value;
    if (cursor.peek() == '"') {
      value = cursor.Quoted(false);
    } else {
      value = cursor.Until(" =\"\\");
      if (!IsBarePlain(value)) cursor.Fail("a value that needs quotes");
    }
    AddField(cursor, key, std::move(value), record);
  }
}

std::string JsonString(Cursor& cursor, std::string_view before) {
  cursor.Expect(before);
  return cursor.Quoted(true);
}

void ParseJson(Cursor& cursor, Record& record) {
  SetTime(cursor, JsonString(cursor, "{\"time\":"), record);
  SetDaemon(cursor, JsonString(cursor, ",\"daemon\":"), record);
  cursor.Expect(",\"pid\":");
  SetPid(cursor, cursor.Until(","), record);
  SetSeverity(cursor, JsonString(cursor, ",\"severity\":"), record);
  SetEvent(cursor, JsonString(cursor, ",\"event\":"), record);
  while (cursor.ok() && !cursor.Skip("}")) {
    const std::string key = JsonString(cursor, ",");
    cursor.Expect(":");
    std::string value;
    if (cursor.peek() == '"') {
      value = cursor.Quoted(true);
    } else {
      value = cursor.Until(",}");
      if (!IsBareJson(value)) cursor.Fail("not a number");
    }
    AddField(cursor, key, std::move(value), record);
  }
  if (!cursor.at_end()) cursor.Fail("something behind the object");
}

}  // namespace

std::string_view Record::Field(std::string_view key) const {
  for (const auto& [name, value] : fields) {
    if (name == key) return value;
  }
  return {};
}

Parsed<Record> ParseLine(std::string_view line) {
  if (line.size() > kMaxLineOctets) return Malformed("longer than a line of ours", kMaxLineOctets);
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.find('\n') != line.npos) return Malformed("more than one line", line.find('\n'));
  Cursor cursor(line);
  Record record;
  if (line.starts_with('{')) {
    ParseJson(cursor, record);
  } else {
    ParsePlain(cursor, record);
  }
  if (!cursor.ok()) return std::unexpected(cursor.error());
  return record;
}

}  // namespace postern::log
