// common/log/limits.h — bounds on what strangers can make the log hold. In octets, if not said.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postern::log {

// Of one value before escaping; a longer one is cut at a character and ends in "...". Twice a reply
// line of SMTP (RFC 5321 §4.5.3.1.5), more than any address.
inline constexpr size_t kMaxValueOctets = 1024;
// Of one line with its newline: a field that would pass it is left out and "truncated" says so.
inline constexpr size_t kMaxLineOctets = 8192;
// Lines collected before they are written without waiting for the end of the turn.
inline constexpr size_t kFlushOctets = 32u << 10;
// How long a line may wait for others to leave with it.
inline constexpr int64_t kMaxLineAgeUs = 50'000;
// Lines kept for a sink that does not take them; what comes then is dropped and counted.
inline constexpr size_t kMaxBufferedOctets = 256u << 10;
// Fields of one line a reader takes.
inline constexpr size_t kMaxFields = 64;

}  // namespace postern::log
