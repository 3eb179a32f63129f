// common/config/units.h — sizes and durations as the configuration writes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "common/base/parse_error.h"

namespace postern::config {

// "10MiB", "64KiB", "1GiB", "512B", "512": octets. Units are powers of 1024, in exact spelling; a
// unit that could be meant either way (MB) is refused with the right one.
Parsed<uint64_t> ParseSize(std::string_view text);
std::string SizeText(uint64_t octets);  // the largest unit without a remainder

// "90s", "1h30m", "5d", "250ms": parts in falling order, units d h m s ms; "0" needs none. At most
// ten years.
Parsed<absl::Duration> ParseDuration(std::string_view text);
std::string DurationText(absl::Duration duration);  // "0s" for none

}  // namespace postern::config
