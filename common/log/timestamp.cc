#include "common/log/timestamp.h"

#include <algorithm>

namespace postern::log {
namespace {

constexpr int64_t kMicroseconds = 1'000'000;
constexpr int64_t kSecondsPerDay = 86'400;
constexpr int64_t kDaysPerEra = 146'097;  // 400 years of the Gregorian calendar
// Days from 0000-03-01 to 1970-01-01. Years are counted from March here, so that the leap day is
// a year's last and month lengths follow one formula.
constexpr int64_t kDaysToEpoch = 719'468;
constexpr int64_t kEarliest = -62'167'219'200 * kMicroseconds;                    // 0000-01-01
constexpr int64_t kLatest = 253'402'300'799 * kMicroseconds + kMicroseconds - 1;  // 9999-12-31

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

bool IsLeap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int DaysIn(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && IsLeap(year) ? 29 : kDays[month - 1];
}

int64_t DaysFromCivil(int year, int month, int day) {
  const int64_t y = month <= 2 ? year - 1 : year;
  const int64_t era = FloorDiv(y, 400);
  const int64_t year_of_era = y - era * 400;
  const int64_t march_month = (month + 9) % 12;
  const int64_t day_of_year = (153 * march_month + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * kDaysPerEra + day_of_era - kDaysToEpoch;
}

void SetDate(int64_t days, CivilTime& time) {
  const int64_t shifted = days + kDaysToEpoch;
  const int64_t era = FloorDiv(shifted, kDaysPerEra);
  const int64_t day_of_era = shifted - era * kDaysPerEra;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t march_month = (5 * day_of_year + 2) / 153;
  time.day = static_cast<int>(day_of_year - (153 * march_month + 2) / 5 + 1);
  time.month = static_cast<int>(march_month < 10 ? march_month + 3 : march_month - 9);
  time.year = static_cast<int>(era * 400 + year_of_era + (time.month <= 2 ? 1 : 0));
}

void WriteDigits(char* to, int count, int value) {
  for (int i = count; i-- > 0; value /= 10) to[i] = static_cast<char>('0' + value % 10);
}

// -1 if one of the characters is no digit.
int ReadDigits(std::string_view text, size_t at, size_t count) {
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

CivilTime ToCivil(int64_t unix_us) {
  unix_us = std::clamp(unix_us, kEarliest, kLatest);
  const int64_t seconds = FloorDiv(unix_us, kMicroseconds);
  const int64_t days = FloorDiv(seconds, kSecondsPerDay);
  const int64_t of_day = seconds - days * kSecondsPerDay;
  CivilTime time;
  SetDate(days, time);
  time.hour = static_cast<int>(of_day / 3600);
  time.minute = static_cast<int>(of_day / 60 % 60);
  time.second = static_cast<int>(of_day % 60);
  time.microsecond = static_cast<int>(unix_us - seconds * kMicroseconds);
  return time;
}

int64_t FromCivil(const CivilTime& time) {
  const int64_t seconds = DaysFromCivil(time.year, time.month, time.day) * kSecondsPerDay +
                          time.hour * 3600 + time.minute * 60 + time.second;
  return seconds * kMicroseconds + time.microsecond;
}

void WriteTimestamp(int64_t unix_us, char* to) {
  const CivilTime time = ToCivil(unix_us);
  WriteDigits(to, 4, time.year);
  to[4] = '-';
  WriteDigits(to + 5, 2, time.month);
  to[7] = '-';
  WriteDigits(to + 8, 2, time.day);
  to[10] = 'T';
  WriteDigits(to + 11, 2, time.hour);
  to[13] = ':';
  WriteDigits(to + 14, 2, time.minute);
  to[16] = ':';
  WriteDigits(to + 17, 2, time.second);
  to[19] = '.';
  WriteDigits(to + 20, 6, time.microsecond);
  to[26] = 'Z';
}

Parsed<int64_t> ParseTimestamp(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd.ddddddZ";
  static_assert(kShape.size() == kTimestampOctets);
  if (text.size() != kShape.size()) return Malformed("a time has 27 characters");
  for (size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] != 'd' && text[i] != kShape[i]) return Malformed("not a time", i);
  }
  const CivilTime time = {.year = ReadDigits(text, 0, 4),
                          .month = ReadDigits(text, 5, 2),
                          .day = ReadDigits(text, 8, 2),
                          .hour = ReadDigits(text, 11, 2),
                          .minute = ReadDigits(text, 14, 2),
                          .second = ReadDigits(text, 17, 2),
                          .microsecond = ReadDigits(text, 20, 6)};
  if (time.year < 0 || time.month < 1 || time.month > 12) return Malformed("no such month");
  if (time.day < 1 || time.day > DaysIn(time.year, time.month)) return Malformed("no such day", 8);
  if (time.hour < 0 || time.hour > 23 || time.minute < 0 || time.minute > 59 || time.second < 0 ||
      time.second > 59 || time.microsecond < 0) {
    return Malformed("no such time of day", 11);
  }
  return FromCivil(time);
}

}  // namespace postern::log
