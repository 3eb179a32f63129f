#include "daemons/qmgr/records.h"

#include <gtest/gtest.h>

#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "tests/daemons/qmgr/store_testing.h"

namespace postern::qmgr {
namespace {

bool Whole(std::string_view bytes, uint64_t segment) {
  const Parsed<RecordHeader> header = DecodeRecordHeader(bytes);
  if (!header.has_value() || header->total() > bytes.size()) return false;
  return CheckBody(*header, segment, bytes.substr(kRecordHeaderOctets, header->body_octets)) &&
         CheckContent(*header, bytes.substr(kRecordHeaderOctets + header->body_octets,
                                            header->content_octets));
}

TEST(Records, AnyFlippedBitInHeaderOrBodyOrContentIsNoticed) {
  std::string record;
  ASSERT_TRUE(AppendRecord(record, 7, RecordType::kMessage, 1, 2, std::string_view(BodyOf(1)),
                           ContentOf(1)));
  ASSERT_TRUE(Whole(record, 7));
  EXPECT_FALSE(Whole(record, 8)) << "a record of another segment";
  const size_t padding_from = kRecordHeaderOctets + BodyOf(1).size() + ContentOf(1).size();
  for (size_t i = 0; i < padding_from; ++i) {
    if (i >= 5 && i < 8) continue;  // octets that a reader ignores
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = record;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      EXPECT_FALSE(Whole(flipped, 7)) << i << " bit " << bit;
    }
  }
}

TEST(Records, EveryTruncationIsNoticed) {
  std::string record;
  ASSERT_TRUE(AppendRecord(record, 7, RecordType::kMessage, 1, 2, std::string_view(BodyOf(1)),
                           ContentOf(1)));
  for (size_t length = 0; length < record.size(); ++length)
    EXPECT_FALSE(Whole(std::string_view(record).substr(0, length), 7)) << length;
}

TEST(Records, ARecordIsPaddedToEightOctets) {
  for (size_t octets = 0; octets <= 17; ++octets) {
    std::string bytes;
    ASSERT_TRUE(AppendRecord(bytes, 1, RecordType::kMessage, 1, 1,
                             std::string_view(std::string(octets, 'b')), ""));
    EXPECT_EQ(bytes.size() % kRecordAlignment, 0u) << octets;
    EXPECT_LT(bytes.size(), kRecordHeaderOctets + octets + kRecordAlignment) << octets;
    EXPECT_TRUE(Whole(bytes, 1)) << octets;
  }
}

TEST(Records, ABodyOrContentOfImpossibleSizeIsNeitherWrittenNorRead) {
  std::string to = "as it was";
  // Only its length is looked at.
  const char octet = 'x';
  const std::string_view huge(&octet, size_t{kMaxBodyOctets} + 1);
  EXPECT_FALSE(AppendRecord(to, 1, RecordType::kMessage, 1, 1, huge, ""));
  EXPECT_FALSE(AppendRecord(to, 1, RecordType::kMessage, 1, 1, std::string_view(), huge));
  EXPECT_EQ(to, "as it was");
  std::string record;
  ASSERT_TRUE(AppendRecord(record, 1, RecordType::kRemove, 1, 1, std::string_view(), ""));
  for (const size_t at : {24u, 28u}) {
    std::string claims = record;
    StoreLittleEndian(claims.data() + at, kMaxBodyOctets);
    EXPECT_TRUE(DecodeRecordHeader(claims).has_value()) << at;
    StoreLittleEndian(claims.data() + at, kMaxBodyOctets + 1);
    EXPECT_FALSE(DecodeRecordHeader(claims).has_value()) << at;
  }
}

TEST(Records, OnlyTheTypesThatThereAreAreRead) {
  std::string record;
  ASSERT_TRUE(AppendRecord(record, 1, RecordType::kRemove, 1, 1, std::string_view(), ""));
  for (int type = 0; type <= 255; ++type) {
    record[4] = static_cast<char>(type);
    EXPECT_EQ(DecodeRecordHeader(record).has_value(), type >= 1 && type <= 6) << type;
  }
}

TEST(Records, ASegmentHeaderSaysWhatIsWrongWithIt) {
  const std::string good = EncodeSegmentHeader({.number = 5, .first_sequence = 77});
  ASSERT_EQ(good.size(), kSegmentHeaderOctets);
  const auto read = DecodeSegmentHeader(good);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->number, 5u);
  EXPECT_EQ(read->first_sequence, 77u);
  const auto changed = [&](size_t at, char to) {
    std::string bytes = good;
    bytes[at] = to;
    return bytes;
  };
  const struct {
    const char* label;
    std::string bytes;
    const char* reason;
    bool newer;
  } rows[] = {
      {"nothing", "", "too short", false},
      {"one octet less", good.substr(0, 63), "too short", false},
      {"another magic", changed(7, '0'), "not a queue segment", false},
      {"the next version, whatever its checksum", changed(8, 2), "format version 2", true},
      {"a version from far away", changed(11, '\x7f'), "format version", true},
      {"a version before the first", changed(8, 0), "damaged", false},
      {"a flipped bit in the number", changed(16, 4), "damaged", false},
      {"a flipped bit in the checksum", changed(63, static_cast<char>(good[63] ^ 1)), "damaged",
       false},
  };
  for (const auto& row : rows) {
    const auto header = DecodeSegmentHeader(row.bytes);
    ASSERT_FALSE(header.has_value()) << row.label;
    EXPECT_NE(header.error().reason.find(row.reason), std::string::npos)
        << row.label << ": " << header.error().reason;
    EXPECT_EQ(IsOfNewerFormat(row.bytes), row.newer) << row.label;
  }
  EXPECT_TRUE(DecodeSegmentHeader(good + "more").has_value());
}

}  // namespace
}  // namespace postern::qmgr
