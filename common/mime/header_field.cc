#include "common/mime/header_field.h"

#include <algorithm>
#include <cstdint>

#include "common/base/escape.h"
#include "common/mime/limits.h"

namespace postern::mime {
namespace {

bool IsControlOrSpace(char c) { return static_cast<uint8_t>(c) <= 32 || c == 127; }

// The next word of `value`, taken off with what surrounds it; empty at the end.
std::string_view TakeWord(std::string_view& value) {
  while (!value.empty() && IsControlOrSpace(value.front())) value.remove_prefix(1);
  const auto end = std::find_if(value.begin(), value.end(), IsControlOrSpace);
  const std::string_view word = value.substr(0, static_cast<size_t>(end - value.begin()));
  value.remove_prefix(word.size());
  return word;
}

// At most `room` octets from the front of `word`, no character cut in two.
std::string_view Front(std::string_view word, size_t room) {
  if (word.size() <= room) return word;
  size_t cut = room;
  while (cut + 4 > room && (static_cast<uint8_t>(word[cut]) & 0xC0) == 0x80) --cut;
  return word.substr(0, cut);
}

}  // namespace

std::string FormatField(std::string_view name, std::string_view value) {
  std::string field(name);
  field += ':';
  size_t column = field.size();
  for (std::string_view word = TakeWord(value); !word.empty(); word = TakeWord(value)) {
    while (!word.empty()) {
      const bool first = column == name.size() + 1 && field.size() == column;
      if (!first && column + 1 + word.size() > kFoldColumns) {
        field += "\r\n";
        column = 0;
      }
      const std::string_view part = Front(word, kMaxLineOctets - column - 1);
      field.append(1, ' ').append(part);
      column += 1 + part.size();
      word.remove_prefix(part.size());
    }
  }
  return field + "\r\n";
}

std::string Harmless(std::string_view foreign, size_t max_octets) {
  std::string text;
  while (!foreign.empty()) {
    const size_t length = Utf8SequenceLength(foreign);
    const std::string_view character = foreign.substr(0, std::max<size_t>(length, 1));
    foreign.remove_prefix(character.size());
    const bool refused =
        length == 0 || (length == 1 && (IsControlOrSpace(character[0]) ||
                                        std::string_view("()\\\"<>;,").contains(character[0])));
    const std::string_view kept = refused ? std::string_view("?") : character;
    if (text.size() + kept.size() > max_octets) break;
    text += kept;
  }
  return text;
}

}  // namespace postern::mime
