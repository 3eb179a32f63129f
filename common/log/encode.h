// common/log/encode.h — lays one event out as a line, a syslog datagram or a journal entry. Pure.
//
// In lines a value is escaped so that it can neither end the line nor reach the terminal: backslash
// is doubled, and what is no valid UTF-8 becomes \xHH, in both formats alike. Control characters
// and those that turn or break lines (C1, U+2028, U+2029, bidirectional overrides) are \n, \r, \t
// or \xHH in plain lines and JSON's own escapes in JSON. reader.h undoes all of it exactly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/log/limits.h"
#include "common/log/severity.h"

namespace postern::log {

enum class Layout : uint8_t {
  kPlain,        // time daemon/index[pid] severity event key=value ...
  kJson,         // one object a line
  kSyslogPlain,  // <PRI>Mmm dd hh:mm:ss postern-daemon[pid]: event key=value ... (RFC 3164 §4.1)
  kSyslogJson,   // the same with the object behind the tag
  kJournal,      // systemd's native protocol: KEY=value, or KEY, length and bytes
};

// Trusted, but for nothing.
struct Head {
  int64_t time_us = 0;
  std::string_view timestamp;  // time_us as WriteTimestamp has it
  std::string_view daemon;
  int index = -1;
  int64_t pid = 0;
  Severity severity = Severity::kInfo;
  std::string_view event;
};

// The memory is kept from one event to the next: once grown, it does not allocate.
class Encoder {
 public:
  void Begin(Layout layout, const Head& head);
  // Before the other fields.
  void Id(std::string_view id) { Text("id", id); }
  void Text(std::string_view key, std::string_view value);
  void Integer(std::string_view key, int64_t value);
  void Unsigned(std::string_view key, uint64_t value);
  void Boolean(std::string_view key, bool value);
  // A number already in decimal; `key` and `suffix` together are the key.
  void Number(std::string_view key, std::string_view suffix, std::string_view digits);
  // The finished record; lines end in a newline. The view is valid until the next Begin.
  std::string_view End();

 private:
  void BeginLine(const Head& head);
  void BeginSyslog(const Head& head);
  void BeginJournal(const Head& head);
  bool json() const { return layout_ == Layout::kJson || layout_ == Layout::kSyslogJson; }
  void Name(std::string_view key, std::string_view suffix);
  void JournalField(std::string_view key, std::string_view suffix, std::string_view value);
  void KeepIfFits(size_t text_before, size_t journal_before);

  Layout layout_ = Layout::kPlain;
  bool truncated_ = false;
  std::string text_;     // the line; for the journal, its MESSAGE
  std::string journal_;  // the journal's fields
};

}  // namespace postern::log
