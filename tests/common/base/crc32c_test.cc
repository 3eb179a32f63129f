#include "common/base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace postern {
namespace {

// RFC 3720 B.4 prints the octets of the checksum in the order they are sent, least significant
// first; here they are numbers.
TEST(Crc32c, GivesTheValuesOfRfc3720) {
  std::string ascending;
  std::string descending;
  for (int i = 0; i < 32; ++i) {
    ascending += static_cast<char>(i);
    descending += static_cast<char>(31 - i);
  }
  std::string read_command(48, '\0');  // the iSCSI Read (10) PDU of the appendix
  const std::pair<size_t, uint8_t> octets[] = {{0, 0x01},  {1, 0xc0},  {16, 0x14}, {22, 0x04},
                                               {27, 0x14}, {31, 0x18}, {32, 0x28}, {40, 0x02}};
  for (const auto& [at, value] : octets) read_command[at] = static_cast<char>(value);
  const struct {
    const char* what;
    std::string bytes;
    uint32_t crc;
  } rows[] = {
      {"nothing", "", 0},
      {"32 octets of zeros", std::string(32, '\0'), 0x8A9136AA},
      {"32 octets of ones", std::string(32, '\xff'), 0x62A8AB43},
      {"32 octets ascending", ascending, 0x46DD794E},
      {"32 octets descending", descending, 0x113FDB5C},
      {"a Read (10) command", read_command, 0xD9963A56},
      {"the check value", "123456789", 0xE3069283},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    EXPECT_EQ(Crc32c(row.bytes), row.crc);
    EXPECT_EQ(Crc32cPortable(row.bytes), row.crc);
  }
}

TEST(Crc32c, BothFormsAgreeAtEachLengthAndAlignment) {
  std::string bytes;
  uint32_t state = 1;
  for (int i = 0; i < 300; ++i) {
    state = state * 1664525 + 1013904223;
    bytes += static_cast<char>(state >> 24);
  }
  for (size_t offset = 0; offset < 9; ++offset) {
    for (size_t length = 0; offset + length <= bytes.size(); ++length) {
      const std::string_view part = std::string_view(bytes).substr(offset, length);
      ASSERT_EQ(Crc32c(part), Crc32cPortable(part)) << offset << ' ' << length;
    }
  }
}

TEST(Crc32c, GoesOnWhereItWasLeft) {
  const std::string bytes = "The quick brown fox jumps over the lazy dog";
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    const std::string_view all = bytes;
    EXPECT_EQ(Crc32c(all.substr(cut), Crc32c(all.substr(0, cut))), Crc32c(all));
    EXPECT_EQ(Crc32cPortable(all.substr(cut), Crc32cPortable(all.substr(0, cut))), Crc32c(all));
  }
}

TEST(Crc32c, SeesEachFlippedBit) {
  std::string bytes(40, 'x');
  const uint32_t before = Crc32c(bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(Crc32c(bytes), before);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
}

}  // namespace
}  // namespace postern
