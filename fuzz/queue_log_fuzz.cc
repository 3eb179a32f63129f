// A segment of the queue's log with anything in it: a start reads a prefix of its records (a plain
// reader says which), finds the same at the next start, changes nothing that it has not said, and
// the log goes on behind it. What the segment held before is not lost by what comes after.
//
// Input: an octet of how. 0: the rest is the file. Otherwise records, each an octet of type, of
// queue id and of length, and the body; sealed with an index if bit 1 is set, with bit 2 the octets
// after the last record are kept as the torn tail.
//
// Covers: daemons/qmgr/store_recovery.cc daemons/qmgr/records.cc
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/io/scope.h"
#include "daemons/qmgr/store.h"
#include "tests/daemons/qmgr/faulty_disk.h"
#include "tests/testing/fake_loop.h"

namespace {

using namespace postern;
using namespace postern::qmgr;

constexpr uint64_t kSegment = 5;
constexpr const char* kName = "log/000000000005.seg";
constexpr StoreOptions kOptions{.segment_octets = 16u << 10, .reserve_octets = 0};
constexpr uint64_t kNewId = 0xFFFF'FFFF'FFFF'FFFF;

void Require(bool condition) {
  if (!condition) std::abort();
}

std::string MessageBody() {
  MessageRecord record;
  record.sender = "a@example.org";
  record.recipients.resize(1);
  std::string body;
  Require(ipc::Encode(record, body));
  return body;
}

std::string SegmentOf(uint8_t how, std::string_view input) {
  std::string bytes = EncodeSegmentHeader({.number = kSegment, .first_sequence = 1});
  std::string index;
  uint64_t sequence = 1;
  while (input.size() >= 3) {
    const auto type = static_cast<RecordType>(1 + static_cast<uint8_t>(input[0]) % 5);
    const auto id = static_cast<uint8_t>(input[1]);
    const std::string_view given = input.substr(3, static_cast<uint8_t>(input[2]));
    input.remove_prefix(3 + given.size());
    // A message whose body is empty is a good one, so that there is something to find.
    const std::string body =
        type == RecordType::kMessage && given.size() < 4 ? MessageBody() : std::string(given);
    const size_t at = bytes.size();
    Require(AppendRecord(bytes, kSegment, type, sequence++, id, std::string_view(body),
                         type == RecordType::kMessage ? given : std::string_view()));
    index.append(bytes, at, kRecordHeaderOctets + body.size());
  }
  if ((how & 4) != 0) bytes += input;
  if ((how & 2) != 0) {
    std::string seal;
    Require(AppendRecord(seal, kSegment, RecordType::kSeal, sequence, bytes.size(),
                         std::string_view(index), {}));
    std::string length;
    AppendLittleEndian(length, static_cast<uint64_t>(seal.size()));
    bytes.resize((bytes.size() + 7) / 8 * 8 + 64, '\0');
    bytes += seal + length;
  }
  return bytes;
}

struct Found {
  absl::Status status;
  std::map<uint64_t, RecoveredMessage> messages;
  RecoveryReport report;
};

io::Task<absl::Status> OpenInto(Store& store, Found& found) {
  auto report = co_await store.Open([&](RecoveredMessage&& one) {
    Require(found.messages.emplace(one.queue_id, std::move(one)).second);
  });
  found.status = report.status();
  if (report.ok()) found.report = *std::move(report);
  co_return absl::OkStatus();
}

io::Task<absl::Status> Look(Disk& disk, Found& found) {
  Store store(disk, kOptions);
  CO_RETURN_IF_ERROR(co_await OpenInto(store, found));
  for (const auto& [id, message] : found.messages) {
    // An index may name what is damaged; then that is said, and nothing else is given out.
    const auto loaded = co_await store.Load(id, message.where);
    Require(loaded.ok() || absl::IsDataLoss(loaded.status()));
  }
  co_return absl::OkStatus();
}

io::Task<absl::Status> RunStore(Store& store) { co_return co_await store.Run(); }

io::Task<absl::Status> GoOn(Disk& disk) {
  Store store(disk, kOptions);
  Found found;
  CO_RETURN_IF_ERROR(co_await OpenInto(store, found));
  io::TaskScope writer;
  writer.Spawn(RunStore(store));
  const auto where = co_await store.Commit(kNewId, MessageBody(), "new", Store::Why::kNewMail);
  Require(where.ok());
  writer.RequestStop();
  co_await writer.Join();
  co_return absl::OkStatus();
}

Found Recover(Disk& disk) {
  Found found;
  Require(test::RunInFakeLoop(Look(disk, found)).ok());
  return found;
}

// The messages that are alive after the records that are whole, one after the other from the front.
std::set<uint64_t> AliveByScanning(std::string_view file) {
  std::set<uint64_t> alive;
  file.remove_prefix(kSegmentHeaderOctets);
  for (;;) {
    const auto header = DecodeRecordHeader(file);
    if (!header.has_value() || header->total() > file.size() || header->type == RecordType::kSeal)
      return alive;
    const std::string_view body = file.substr(kRecordHeaderOctets, header->body_octets);
    const std::string_view content =
        file.substr(kRecordHeaderOctets + header->body_octets, header->content_octets);
    if (!CheckBody(*header, kSegment, body) || !CheckContent(*header, content)) return alive;
    const uint64_t id = header->queue_id;
    switch (header->type) {
      case RecordType::kMessage:
        if (!ipc::Decode<MessageRecord>(body).has_value()) return alive;
        alive.insert(id);
        break;
      case RecordType::kAttempt:
        if (!ipc::Decode<AttemptRecord>(body).has_value()) return alive;
        break;
      case RecordType::kHold:
        if (!ipc::Decode<HoldRecord>(body).has_value()) return alive;
        break;
      case RecordType::kRemove:
        alive.erase(id);
        break;
      default:
        break;
    }
    file.remove_prefix(header->total());
  }
}

std::set<uint64_t> Ids(const Found& found) {
  std::set<uint64_t> ids;
  for (const auto& [id, message] : found.messages) ids.insert(id);
  return ids;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::string file = data[0] == 0 ? std::string(input) : SegmentOf(data[0], input);
  FaultyDisk disk;
  disk.Put(kName, file);
  const Found first = Recover(disk);
  if (!first.status.ok()) {
    Require(absl::IsFailedPrecondition(first.status) && IsOfNewerFormat(file));
    Require(disk.files_.at(kName)->written == file);
    return 0;
  }
  const bool removed = !disk.files_.contains(kName);
  if (removed) {
    const size_t head = BeginsAsASegment(file) ? std::min(file.size(), kSegmentHeaderOctets) : 0;
    Require(std::ranges::all_of(file.substr(head), [](char c) { return c == '\0'; }));
  }
  if (!removed) Require(disk.files_.at(kName)->written == file);
  Require(Ids(Recover(disk)) == Ids(first));
  const auto header = DecodeSegmentHeader(file);
  const bool ours = header.has_value() && header->number == kSegment;
  Require(ours == (first.report.segments == 1));
  if (!ours) Require(first.messages.empty() && !first.report.remarks.empty());
  // An index may be the truer witness where what it speaks of is damaged.
  const bool sealed = data[0] != 0 && (data[0] & 2) != 0;
  if (ours && !sealed && file.find(std::string("PSQR\x06", 5)) == std::string::npos)
    Require(Ids(first) == AliveByScanning(file));
  Require(test::RunInFakeLoop(GoOn(disk)).ok());
  std::set<uint64_t> expected = Ids(first);
  expected.insert(kNewId);
  Require(Ids(Recover(disk)) == expected);
  return 0;
}
