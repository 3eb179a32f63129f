#include "common/config/units.h"

#include <iterator>
#include <limits>

namespace postern::config {
namespace {

struct SizeUnit {
  std::string_view name;
  uint64_t octets;
};
constexpr SizeUnit kSizeUnits[] = {{"TiB", uint64_t{1} << 40},
                                   {"GiB", uint64_t{1} << 30},
                                   {"MiB", uint64_t{1} << 20},
                                   {"KiB", uint64_t{1} << 10},
                                   {"B", 1}};

struct TimeUnit {
  std::string_view name;
  int64_t milliseconds;
};
constexpr TimeUnit kTimeUnits[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr int64_t kLongestMilliseconds = int64_t{3'650} * 86'400'000;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Reads digits from `at` on; at most 18, so that no product below overflows unseen.
Parsed<uint64_t> Digits(std::string_view text, size_t& at) {
  const size_t start = at;
  uint64_t number = 0;
  while (at < text.size() && IsDigit(text[at])) {
    if (at - start == 18) return Malformed("the number is too large", start);
    number = number * 10 + static_cast<uint64_t>(text[at++] - '0');
  }
  if (at == start) return Malformed("a number is missing", start);
  return number;
}

std::string_view Letters(std::string_view text, size_t& at) {
  const size_t start = at;
  while (at < text.size() && IsLetter(text[at])) ++at;
  return text.substr(start, at - start);
}

std::string_view SizeUnitProbablyMeant(std::string_view unit) {
  switch (unit.empty() ? '\0' : unit[0] | 0x20) {
    case 'k':
      return "KiB";
    case 'm':
      return "MiB";
    case 'g':
      return "GiB";
    case 't':
      return "TiB";
    default:
      return "";
  }
}

}  // namespace

Parsed<uint64_t> ParseSize(std::string_view text) {
  size_t at = 0;
  const Parsed<uint64_t> number = Digits(text, at);
  if (!number) return number;
  const size_t unit_at = at;
  const std::string_view unit = Letters(text, at);
  if (at != text.size()) return Malformed("only a unit may follow the number", at);
  if (unit.empty()) return number;
  for (const SizeUnit& known : kSizeUnits) {
    if (known.name != unit) continue;
    if (*number > std::numeric_limits<uint64_t>::max() / known.octets)
      return Malformed("the number is too large", 0);
    return *number * known.octets;
  }
  if (const std::string_view meant = SizeUnitProbablyMeant(unit); !meant.empty())
    return Malformed("the unit is spelt " + std::string(meant), unit_at);
  return Malformed("the units are B, KiB, MiB, GiB and TiB", unit_at);
}

std::string SizeText(uint64_t octets) {
  for (const SizeUnit& unit : kSizeUnits)
    if (octets >= unit.octets && octets % unit.octets == 0)
      return std::to_string(octets / unit.octets) + std::string(unit.name);
  return "0B";
}

Parsed<absl::Duration> ParseDuration(std::string_view text) {
  if (text == "0") return absl::ZeroDuration();
  size_t at = 0;
  int64_t total = 0;
  const TimeUnit* next = std::begin(kTimeUnits);  // units still allowed
  do {
    const size_t start = at;
    const Parsed<uint64_t> number = Digits(text, at);
    if (!number) return std::unexpected(number.error());
    const size_t unit_at = at;
    const std::string_view unit = Letters(text, at);
    if (unit.empty()) return Malformed("a unit is missing: d, h, m, s or ms", unit_at);
    const TimeUnit* found = next;
    while (found != std::end(kTimeUnits) && found->name != unit) ++found;
    if (found == std::end(kTimeUnits)) {
      for (const TimeUnit& used : kTimeUnits)
        if (used.name == unit) return Malformed("larger units stand in front, each once", unit_at);
      return Malformed("the units are d, h, m, s and ms", unit_at);
    }
    if (*number > static_cast<uint64_t>(kLongestMilliseconds / found->milliseconds))
      return Malformed("the duration is longer than ten years", start);
    total += static_cast<int64_t>(*number) * found->milliseconds;
    next = found + 1;
  } while (at < text.size());
  if (total > kLongestMilliseconds) return Malformed("the duration is longer than ten years");
  return absl::Milliseconds(total);
}

std::string DurationText(absl::Duration duration) {
  int64_t rest = absl::ToInt64Milliseconds(duration);
  std::string text;
  for (const TimeUnit& unit : kTimeUnits) {
    const int64_t count = rest / unit.milliseconds;
    if (count > 0) text += std::to_string(count) + std::string(unit.name);
    rest %= unit.milliseconds;
  }
  return text.empty() ? "0s" : text;
}

}  // namespace postern::config
