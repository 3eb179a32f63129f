// Octets of the queue's log as a record of every type: what decodes is encoded to the same octets;
// what a record's header says is bounded; and a record made of them is whole exactly as it was
// made. The first octet picks the type.
//
// Covers: daemons/qmgr/records.cc
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemons/qmgr/records.h"

namespace {

using namespace postern;
using namespace postern::qmgr;

void Require(bool condition) {
  if (!condition) std::abort();
}

template <class Record>
void CheckBodyOf(std::string_view body) {
  const Parsed<Record> record = ipc::Decode<Record>(body);
  if (!record.has_value()) return;
  std::string again;
  Require(ipc::Encode(*record, again) && again == body);
}

void CheckHeaders(std::string_view bytes) {
  const Parsed<SegmentHeader> segment = DecodeSegmentHeader(bytes);
  if (segment.has_value()) {
    Require(!IsOfNewerFormat(bytes));
    const std::string again = EncodeSegmentHeader(*segment);
    const std::string_view head = bytes.substr(0, kSegmentHeaderOctets);
    // The octets between, which must be zero and are covered, are not looked at.
    Require(again.substr(0, 12) == head.substr(0, 12) &&
            again.substr(16, 16) == head.substr(16, 16));
  }
  const Parsed<RecordHeader> header = DecodeRecordHeader(bytes);
  if (!header.has_value()) return;
  Require(header->body_octets <= kMaxBodyOctets && header->content_octets <= kMaxBodyOctets);
  Require(header->total() % kRecordAlignment == 0 && header->total() >= kRecordHeaderOctets);
}

void CheckRecord(RecordType type, std::string_view bytes) {
  const size_t half = bytes.size() / 2;
  const std::string_view body = bytes.substr(0, half);
  const std::string_view content =
      type == RecordType::kMessage ? bytes.substr(half) : std::string_view();
  std::string record;
  Require(AppendRecord(record, 7, type, 8, 9, body, content));
  const Parsed<RecordHeader> header = DecodeRecordHeader(record);
  Require(header.has_value() && header->total() == record.size());
  Require(header->type == type && header->sequence == 8 && header->queue_id == 9);
  Require(CheckBody(*header, 7, body) && CheckContent(*header, content));
  Require(!CheckBody(*header, 6, body));
  if (!content.empty()) Require(!CheckContent(*header, content.substr(1)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  CheckHeaders(bytes);
  const auto type = static_cast<RecordType>(1 + data[0] % 6);
  CheckRecord(type, bytes);
  switch (type) {
    case RecordType::kMessage:
      CheckBodyOf<MessageRecord>(bytes);
      break;
    case RecordType::kAttempt:
      CheckBodyOf<AttemptRecord>(bytes);
      break;
    case RecordType::kHold:
      CheckBodyOf<HoldRecord>(bytes);
      break;
    case RecordType::kRelease:
    case RecordType::kRemove:
      CheckBodyOf<EmptyRecord>(bytes);
      break;
    case RecordType::kSeal:
      break;
  }
  return 0;
}
