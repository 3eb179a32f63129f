// common/log/name.h — the names of events and of their fields, checked while compiling.
//
// Names are part of the interface people write alerts against: they are constants of ours, never
// made at run time and never foreign text, so a line's structure cannot be forged.
#pragma once

#include <string_view>

namespace postern::log {

inline constexpr size_t kMaxNameOctets = 48;

constexpr bool IsKey(std::string_view text) {
  if (text.empty() || text.size() > kMaxNameOctets) return false;
  if (text[0] < 'a' || text[0] > 'z') return false;
  for (const char c : text) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

// "area.verb": two keys joined by a dot.
constexpr bool IsEventName(std::string_view text) {
  const size_t dot = text.find('.');
  return text.size() <= kMaxNameOctets && dot != text.npos && IsKey(text.substr(0, dot)) &&
         IsKey(text.substr(dot + 1));
}

// The keys each line has anyway; no field may take one.
constexpr bool IsReservedKey(std::string_view key) {
  for (const std::string_view reserved :
       {"time", "daemon", "pid", "severity", "event", "id", "truncated"}) {
    if (key == reserved) return true;
  }
  return false;
}

// Not constexpr: reaching one of these ends the compilation, with its name in the message.
inline void AKeyIsLowerCaseLettersDigitsUnderscores() {}
inline void ThisKeyIsTheLinesOwn() {}
inline void AnEventNameIsAreaDotVerb() {}

class Key {
 public:
  consteval Key(const char* text) : text_(text) {  // implicit: a literal is a key
    if (!IsKey(text_)) AKeyIsLowerCaseLettersDigitsUnderscores();
    if (IsReservedKey(text_)) ThisKeyIsTheLinesOwn();
  }
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

class EventName {
 public:
  consteval EventName(const char* text) : text_(text) {  // implicit: a literal is a name
    if (!IsEventName(text_)) AnEventNameIsAreaDotVerb();
  }
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

}  // namespace postern::log
