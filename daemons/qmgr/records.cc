#include "daemons/qmgr/records.h"

#include "common/base/bytes.h"
#include "common/base/crc32c.h"

namespace postern::qmgr {
namespace {

constexpr std::string_view kSegmentMagic = "PSTNQLG1";
constexpr size_t kVersionAt = 8;
constexpr uint32_t kRecordMagic = 0x52515350;  // "PSQR"

uint32_t BodyCrc(const RecordHeader& header, uint64_t segment, std::string_view body) {
  std::string covered;
  covered.reserve(40);
  AppendLittleEndian(covered, segment);
  AppendLittleEndian(covered, static_cast<uint8_t>(header.type));
  AppendLittleEndian(covered, header.sequence);
  AppendLittleEndian(covered, header.queue_id);
  AppendLittleEndian(covered, header.body_octets);
  AppendLittleEndian(covered, header.content_octets);
  AppendLittleEndian(covered, header.content_crc);
  return Crc32c(body, Crc32c(covered));
}

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string bytes(kSegmentMagic);
  AppendLittleEndian(bytes, kFormatVersion);
  AppendLittleEndian(bytes, uint32_t{0});
  AppendLittleEndian(bytes, header.number);
  AppendLittleEndian(bytes, header.first_sequence);
  bytes.resize(kSegmentHeaderOctets - sizeof(uint32_t));
  AppendLittleEndian(bytes, Crc32c(bytes));
  return bytes;
}

bool BeginsAsASegment(std::string_view bytes) { return bytes.starts_with(kSegmentMagic); }

bool IsOfNewerFormat(std::string_view bytes) {
  return bytes.size() >= kSegmentHeaderOctets && bytes.starts_with(kSegmentMagic) &&
         LoadLittleEndian<uint32_t>(bytes.data() + kVersionAt) > kFormatVersion;
}

Parsed<SegmentHeader> DecodeSegmentHeader(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderOctets)
    return Malformed("too short for a queue segment", bytes.size());
  bytes = bytes.substr(0, kSegmentHeaderOctets);
  if (!bytes.starts_with(kSegmentMagic)) return Malformed("not a queue segment");
  const auto version = LoadLittleEndian<uint32_t>(bytes.data() + kVersionAt);
  // Before the checksum: a newer version may have moved it.
  if (IsOfNewerFormat(bytes)) {
    return Malformed("written in format version " + std::to_string(version) +
                         ", this program knows " + std::to_string(kFormatVersion),
                     kVersionAt);
  }
  const size_t covered = kSegmentHeaderOctets - sizeof(uint32_t);
  if (version != kFormatVersion ||
      LoadLittleEndian<uint32_t>(bytes.data() + covered) != Crc32c(bytes.substr(0, covered))) {
    return Malformed("the segment's header is damaged", covered);
  }
  return SegmentHeader{.number = LoadLittleEndian<uint64_t>(bytes.data() + 16),
                       .first_sequence = LoadLittleEndian<uint64_t>(bytes.data() + 24)};
}

bool AppendRecord(std::string& to, uint64_t segment, RecordType type, uint64_t sequence,
                  uint64_t queue_id, std::string_view body, std::string_view content) {
  if (body.size() > kMaxBodyOctets || content.size() > kMaxBodyOctets) return false;
  RecordHeader header{.type = type,
                      .sequence = sequence,
                      .queue_id = queue_id,
                      .body_octets = static_cast<uint32_t>(body.size()),
                      .content_octets = static_cast<uint32_t>(content.size()),
                      .content_crc = Crc32c(content)};
  header.body_crc = BodyCrc(header, segment, body);
  const size_t start = to.size();
  AppendLittleEndian(to, kRecordMagic);
  AppendLittleEndian(to, static_cast<uint8_t>(type));
  to.append(3, '\0');
  AppendLittleEndian(to, header.sequence);
  AppendLittleEndian(to, header.queue_id);
  AppendLittleEndian(to, header.body_octets);
  AppendLittleEndian(to, header.content_octets);
  AppendLittleEndian(to, header.body_crc);
  AppendLittleEndian(to, header.content_crc);
  to += body;
  to += content;
  to.resize(start + header.total(), '\0');
  return true;
}

Parsed<RecordHeader> DecodeRecordHeader(std::string_view bytes) {
  if (bytes.size() < kRecordHeaderOctets) return Malformed("the record's header is cut off");
  if (LoadLittleEndian<uint32_t>(bytes.data()) != kRecordMagic) return Malformed("no record here");
  const auto type = LoadLittleEndian<uint8_t>(bytes.data() + 4);
  if (type < static_cast<uint8_t>(RecordType::kMessage) ||
      type > static_cast<uint8_t>(RecordType::kSeal)) {
    return Malformed("a record of unknown type " + std::to_string(type), 4);
  }
  RecordHeader header{.type = static_cast<RecordType>(type),
                      .sequence = LoadLittleEndian<uint64_t>(bytes.data() + 8),
                      .queue_id = LoadLittleEndian<uint64_t>(bytes.data() + 16),
                      .body_octets = LoadLittleEndian<uint32_t>(bytes.data() + 24),
                      .content_octets = LoadLittleEndian<uint32_t>(bytes.data() + 28),
                      .body_crc = LoadLittleEndian<uint32_t>(bytes.data() + 32),
                      .content_crc = LoadLittleEndian<uint32_t>(bytes.data() + 36)};
  if (header.body_octets > kMaxBodyOctets || header.content_octets > kMaxBodyOctets) {
    return Malformed("a record of impossible size", 24);
  }
  return header;
}

bool CheckBody(const RecordHeader& header, uint64_t segment, std::string_view body) {
  return body.size() == header.body_octets && BodyCrc(header, segment, body) == header.body_crc;
}

bool CheckContent(const RecordHeader& header, std::string_view content) {
  return content.size() == header.content_octets && Crc32c(content) == header.content_crc;
}

}  // namespace postern::qmgr
