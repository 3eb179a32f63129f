// common/log/reader.h — reads our own log lines back, for `postern why ID`. Pure.
//
// A log file is not to be trusted: it may be cut, mixed with other programs' lines, or edited.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/parse_error.h"
#include "common/log/limits.h"
#include "common/log/severity.h"

namespace postern::log {

struct Record {
  int64_t time_us = 0;  // Unix time
  std::string daemon;   // "smtpd"
  int index = -1;       // of the worker; -1: none
  int64_t pid = 0;
  Severity severity = Severity::kInfo;
  std::string event;       // "message.queued"
  std::string id;          // empty: not about one message
  bool truncated = false;  // fields were left out
  // In the order of the line. Values as they were before escaping; numbers as their text.
  std::vector<std::pair<std::string, std::string>> fields;

  // The value of the first field of that name; empty if there is none. Lives as long as the record.
  std::string_view Field(std::string_view key) const;

  friend bool operator==(const Record&, const Record&) = default;
};

// One line in either format, with or without its newline.
// Errors: anything that Event would not have written (length, head, key, escape, too many fields).
Parsed<Record> ParseLine(std::string_view line);

}  // namespace postern::log
