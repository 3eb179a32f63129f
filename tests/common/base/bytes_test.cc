#include "common/base/bytes.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace postern {
namespace {

TEST(Bytes, TheLeastSignificantOctetComesFirst) {
  std::string bytes;
  AppendLittleEndian<uint8_t>(bytes, 0x01);
  AppendLittleEndian<uint16_t>(bytes, 0x0203);
  AppendLittleEndian<uint32_t>(bytes, 0x04050607);
  AppendLittleEndian<uint64_t>(bytes, 0x08090A0B0C0D0E0F);
  EXPECT_EQ(bytes, std::string("\x01\x03\x02\x07\x06\x05\x04\x0f\x0e\x0d\x0c\x0b\x0a\x09\x08", 15));
  // None of these but the first is aligned.
  EXPECT_EQ(LoadLittleEndian<uint8_t>(bytes.data()), 0x01);
  EXPECT_EQ(LoadLittleEndian<uint16_t>(bytes.data() + 1), 0x0203);
  EXPECT_EQ(LoadLittleEndian<uint32_t>(bytes.data() + 3), 0x04050607u);
  EXPECT_EQ(LoadLittleEndian<uint64_t>(bytes.data() + 7), 0x08090A0B0C0D0E0Fu);
}

TEST(Bytes, StoringTouchesNothingElse) {
  std::string bytes(10, 'x');
  StoreLittleEndian<uint64_t>(bytes.data() + 1, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(bytes, 'x' + std::string(8, '\xff') + 'x');
  EXPECT_EQ(LoadLittleEndian<uint64_t>(bytes.data() + 1), std::numeric_limits<uint64_t>::max());
}

}  // namespace
}  // namespace postern
