// common/log/timestamp.h — times as RFC 3339 text, UTC, microseconds. Pure: localtime(3) opens the
// zone file, which a confined process may not.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/parse_error.h"

namespace postern::log {

inline constexpr size_t kTimestampOctets = 27;  // "2026-11-24T08:57:32.123456Z"

struct CivilTime {
  int year = 1970;
  int month = 1;  // 1 to 12
  int day = 1;    // 1 to 31
  int hour = 0;
  int minute = 0;
  int second = 0;
  int microsecond = 0;
};

// `unix_us` within the years 0000 to 9999; beyond, the nearest of these.
CivilTime ToCivil(int64_t unix_us);
// The fields must be in range.
int64_t FromCivil(const CivilTime& time);

// Writes kTimestampOctets characters, without a terminating NUL.
void WriteTimestamp(int64_t unix_us, char* to);
// Exactly the form above; no leap seconds, no offsets.
Parsed<int64_t> ParseTimestamp(std::string_view text);

}  // namespace postern::log
