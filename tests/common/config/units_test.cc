#include "common/config/units.h"

#include <gtest/gtest.h>

namespace postern::config {
namespace {

TEST(Units, SizesArePowersOf1024) {
  static constexpr struct {
    std::string_view text;
    uint64_t octets;
    std::string_view printed;
  } kGood[] = {
      {"0", 0, "0B"},
      {"0MiB", 0, "0B"},
      {"512", 512, "512B"},
      {"512B", 512, "512B"},
      {"1024", 1024, "1KiB"},
      {"1025", 1025, "1025B"},
      {"64KiB", 65536, "64KiB"},
      {"50MiB", 52428800, "50MiB"},
      {"1GiB", 1u << 30, "1GiB"},
      {"2TiB", uint64_t{2} << 40, "2TiB"},
      {"16777215TiB", uint64_t{16777215} << 40, "16777215TiB"},
  };
  for (const auto& row : kGood) {
    const Parsed<uint64_t> size = ParseSize(row.text);
    ASSERT_TRUE(size.has_value()) << row.text;
    EXPECT_EQ(*size, row.octets) << row.text;
    EXPECT_EQ(SizeText(*size), row.printed);
  }
  for (const char* text : {"", "MiB", "1.5MiB", "-1", "1 MiB", "1MB", "1M", "1m", "1kib", "1MiBs",
                           "16777216TiB", "9999999999999999999", "1MiB "})
    EXPECT_FALSE(ParseSize(text).has_value()) << text;
  EXPECT_EQ(ParseSize("10MB").error(), (ParseError{"the unit is spelt MiB", 2}));
}

TEST(Units, DurationsAreSumsOfFallingUnits) {
  static constexpr struct {
    std::string_view text;
    int64_t milliseconds;
    std::string_view printed;
  } kGood[] = {
      {"0", 0, "0s"},
      {"0s", 0, "0s"},
      {"1ms", 1, "1ms"},
      {"90s", 90'000, "1m30s"},
      {"1h30m", 5'400'000, "1h30m"},
      {"24h", 86'400'000, "1d"},
      {"1d2h3m4s5ms", 93'784'005, "1d2h3m4s5ms"},
      {"3650d", int64_t{3650} * 86'400'000, "3650d"},
  };
  for (const auto& row : kGood) {
    const Parsed<absl::Duration> duration = ParseDuration(row.text);
    ASSERT_TRUE(duration.has_value()) << row.text << duration.error().reason;
    EXPECT_EQ(*duration, absl::Milliseconds(row.milliseconds)) << row.text;
    EXPECT_EQ(DurationText(*duration), row.printed);
  }
  for (const char* text : {"", "5", "s", "1.5s", "-1s", "1 s", "1s1m", "1s1s", "1w", "1M", "1min",
                           "3651d", "3650d1ms", "999999999999999999999s", "1s "})
    EXPECT_FALSE(ParseDuration(text).has_value()) << text;
}

}  // namespace
}  // namespace postern::config
