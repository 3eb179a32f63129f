#include "common/dns/name.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "common/dns/limits.h"

namespace postern::dns {
namespace {

constexpr uint8_t kPointerBits = 0xC0;

uint8_t At(std::string_view bytes, size_t i) { return static_cast<uint8_t>(bytes[i]); }

// Length octets are below 64 and so no letters: the whole wire form can be folded octet by octet.
char Fold(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool EqualFolded(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Fold(x) == Fold(y); });
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The octet that the escape at `text[i]` (a backslash) stands for; `i` moves to its last octet.
std::optional<char> Unescape(std::string_view text, size_t& i) {
  if (i + 1 >= text.size()) return std::nullopt;
  if (!IsDigit(text[i + 1])) return text[++i];
  if (i + 3 >= text.size() || !IsDigit(text[i + 2]) || !IsDigit(text[i + 3])) return std::nullopt;
  const int value = (text[i + 1] - '0') * 100 + (text[i + 2] - '0') * 10 + (text[i + 3] - '0');
  if (value > 255) return std::nullopt;
  i += 3;
  return static_cast<char>(value);
}

void AppendEscaped(std::string& to, char c) {
  const auto octet = static_cast<uint8_t>(c);
  if (c == '.' || c == '\\') {
    to += '\\';
    to += c;
  } else if (octet > 0x20 && octet < 0x7F) {
    to += c;
  } else {
    to += '\\';
    to += static_cast<char>('0' + octet / 100);
    to += static_cast<char>('0' + octet / 10 % 10);
    to += static_cast<char>('0' + octet % 10);
  }
}

}  // namespace

Parsed<Name> Name::FromText(std::string_view text) {
  if (text.empty()) return Malformed("name is empty");
  Name name;
  if (text == ".") return name;
  std::string& wire = name.wire_;
  size_t length_at = 0;  // where the length of the label being read stands
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '.') {
      if (wire.size() == length_at + 1) return Malformed("name has an empty label", i);
      if (i + 1 == text.size()) break;
      length_at = wire.size();
      wire += '\0';
      continue;
    }
    if (c == '\\') {
      const size_t start = i;
      const std::optional<char> octet = Unescape(text, i);
      if (!octet.has_value()) return Malformed("name has a broken escape", start);
      c = *octet;
    }
    wire += c;
    if (wire.size() - length_at - 1 > kMaxLabelOctets)
      return Malformed("label is longer than 63 octets", i);
    if (wire.size() + 1 > kMaxNameOctets) return Malformed("name is longer than 255 octets", i);
    ++wire[length_at];
  }
  wire += '\0';
  return name;
}

Parsed<Name> Name::Read(std::string_view message, size_t& offset) {
  Name name;
  name.wire_.clear();
  size_t at = offset;
  size_t segment_start = at;     // pointers must lead before this
  std::optional<size_t> resume;  // behind the first pointer
  for (int hops = 0;;) {
    if (at >= message.size()) return Malformed("message ends within a name", at);
    const uint8_t length = At(message, at);
    if ((length & kPointerBits) == kPointerBits) {
      if (at + 1 >= message.size()) return Malformed("message ends within a name", at);
      const size_t target = size_t{length & ~kPointerBits & 0xFFu} << 8 | At(message, at + 1);
      if (target >= segment_start) return Malformed("name points forward", at);
      if (++hops > kMaxPointerHops) return Malformed("name has too many pointers", at);
      if (!resume.has_value()) resume = at + 2;
      at = segment_start = target;
      continue;
    }
    if (length > kMaxLabelOctets) return Malformed("name has a label of unknown type", at);
    if (at + 1 + length > message.size()) return Malformed("message ends within a name", at);
    if (name.wire_.size() + 1 + length + (length != 0) > kMaxNameOctets)
      return Malformed("name is longer than 255 octets", at);
    name.wire_ += message.substr(at, size_t{1} + length);
    at += size_t{1} + length;
    if (length == 0) break;
  }
  offset = resume.value_or(at);
  return name;
}

std::string Name::ToText() const {
  if (is_root()) return ".";
  std::string text;
  for (size_t at = 0; wire_[at] != '\0';) {
    if (!text.empty()) text += '.';
    const size_t end = at + 1 + At(wire_, at);
    for (++at; at < end; ++at) AppendEscaped(text, wire_[at]);
  }
  return text;
}

size_t Name::label_count() const {
  size_t count = 0;
  for (size_t at = 0; wire_[at] != '\0'; at += size_t{1} + At(wire_, at)) ++count;
  return count;
}

Name Name::Lower() const {
  Name lower = *this;
  for (char& c : lower.wire_) c = Fold(c);
  return lower;
}

bool Name::IsWithin(const Name& ancestor) const {
  for (size_t at = 0;; at += size_t{1} + At(wire_, at)) {
    if (wire_.size() - at < ancestor.wire_.size()) return false;
    if (wire_.size() - at == ancestor.wire_.size())
      return EqualFolded(std::string_view(wire_).substr(at), ancestor.wire_);
  }
}

bool operator==(const Name& a, const Name& b) { return EqualFolded(a.wire_, b.wire_); }

}  // namespace postern::dns
