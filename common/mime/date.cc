#include "common/mime/date.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace postern::mime {

namespace {

// The civil date of a day counted from 1970-01-01.
struct Civil {
  int year;
  int month;  // 0 to 11
  int day;    // 1 to 31
};

// Years are counted from March, in eras of 400: so a leap day is the last of its year.
Civil CivilOf(int64_t days) {
  const int64_t shifted = days + 719468;  // from 1 March of the year 0
  const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  const int64_t day_of_era = shifted - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t from_march = (5 * day_of_year + 2) / 153;
  const int64_t month = (from_march + 2) % 12;
  return {.year = static_cast<int>(year_of_era + era * 400 + (month <= 1 ? 1 : 0)),
          .month = static_cast<int>(month),
          .day = static_cast<int>(day_of_year - (153 * from_march + 2) / 5 + 1)};
}

}  // namespace

std::string FormatDate(int64_t unix_seconds, int offset_minutes) {
  constexpr int64_t kFirst = -62135596800;  // 1 January of the year 1
  constexpr int64_t kLast = 253402300799;   // 31 December 9999
  constexpr int64_t kDay = 86400;
  static constexpr const char* kDays[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const int offset = std::clamp(offset_minutes, -99 * 60 - 59, 99 * 60 + 59);
  const int64_t local =
      std::clamp(std::clamp(unix_seconds, kFirst, kLast) + offset * 60, kFirst, kLast);
  const int64_t second = (local % kDay + kDay) % kDay;
  const int64_t days = (local - second) / kDay;
  const Civil date = CivilOf(days);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %d %s %04d %02d:%02d:%02d %c%02d%02d",
                kDays[static_cast<size_t>((days % 7 + 7) % 7)], date.day,
                kMonths[static_cast<size_t>(date.month)], date.year,
                static_cast<int>(second / 3600), static_cast<int>(second / 60 % 60),
                static_cast<int>(second % 60), offset < 0 ? '-' : '+', std::abs(offset) / 60,
                std::abs(offset) % 60);
  return text;
}

}  // namespace postern::mime
