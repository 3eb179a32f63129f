// common/mime/date.h — RFC 5322 §3.3 date-time, without the time zone files a confined process
// cannot read.
#pragma once

#include <cstdint>
#include <string>

namespace postern::mime {

// "Tue, 24 Nov 2026 09:00:00 +0000". Local time `offset_minutes` east of UTC, -99:59 to 99:59
// (clamped). Moments outside the years 1 to 9999 become the nearest one inside.
std::string FormatDate(int64_t unix_seconds, int offset_minutes = 0);

}  // namespace postern::mime
