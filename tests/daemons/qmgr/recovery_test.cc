// What a start makes of a log: torn, damaged, foreign, newer, and written by hand from FORMAT.md.
#include <algorithm>

#include "common/base/bytes.h"
#include "daemons/qmgr/store.h"
#include "tests/daemons/qmgr/store_testing.h"

namespace postern::qmgr {
namespace {

std::set<uint64_t> Ids(const Found& found) {
  std::set<uint64_t> ids;
  for (const auto& [id, message] : found.messages) ids.insert(id);
  return ids;
}

bool Says(const Found& found, std::string_view words) {
  return std::ranges::any_of(found.report.remarks, [&](const std::string& remark) {
    return remark.find(words) != std::string::npos;
  });
}

// ---- By hand: nothing of records.cc is used here.

std::string U32(uint32_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}
std::string U64(uint64_t value) {
  return U32(static_cast<uint32_t>(value)) + U32(static_cast<uint32_t>(value >> 32));
}
std::string Text(std::string_view text) {
  return U32(static_cast<uint32_t>(text.size())) + std::string(text);
}
std::string Octet(uint8_t value) { return std::string(1, static_cast<char>(value)); }

// CRC-32C, bit by bit.
uint32_t Crc(std::string_view bytes) {
  uint32_t crc = ~uint32_t{0};
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78 : 0);
  }
  return ~crc;
}

std::string HeaderByHand(uint64_t number, uint64_t first_sequence) {
  std::string bytes = "PSTNQLG1" + U32(1) + U32(0) + U64(number) + U64(first_sequence);
  bytes += std::string(28, '\0');
  return bytes + U32(Crc(bytes));
}

struct ByHand {
  std::string record;        // with its padding
  std::string in_the_index;  // header and body
};

ByHand RecordByHand(uint64_t number, uint8_t type, uint64_t sequence, uint64_t id,
                    const std::string& body, const std::string& content = "") {
  const auto octets = static_cast<uint32_t>(body.size());
  const auto content_octets = static_cast<uint32_t>(content.size());
  const uint32_t content_crc = content.empty() ? 0 : Crc(content);
  const std::string cover = U64(number) + Octet(type) + U64(sequence) + U64(id) + U32(octets) +
                            U32(content_octets) + U32(content_crc);
  EXPECT_EQ(cover.size(), 37u);
  const std::string head = U32(0x52515350) + Octet(type) + std::string(3, '\0') + U64(sequence) +
                           U64(id) + U32(octets) + U32(content_octets) + U32(Crc(cover + body)) +
                           U32(content_crc);
  EXPECT_EQ(head.size(), 40u);
  ByHand made{.record = head + body + content, .in_the_index = head + body};
  made.record.resize((made.record.size() + 7) / 8 * 8, '\0');
  return made;
}

std::string MessageByHand() {
  return Text("sender@example.org") + Text("envelope") + Octet(1) + Octet(2) + Octet(1) + Octet(0) +
         Octet(1) + U64(1'700'000'000'000'000) + U64(9) + U32(4) + U64(1'700'000'100'000'000) +
         Text("\x7f\x01\x01\x01") + Text("submitter") + Text("") + Text("Received: x\r\n") +
         U32(2) + Text("a@example.net") + Text("rfc822;a@example.net") + Octet(6) + Octet(1) +
         Octet(0) + Text("b@example.net") + Text("") + Octet(0) + Octet(2) + Octet(1);
}

std::string AttemptByHand() {
  return U32(5) + U64(1'700'000'200'000'000) + U64(1'700'000'300'000'000) + Octet(0) + U32(1) +
         U32(0) + Octet(1) + Text("2.0.0") + Text("250 ok") + Octet(1) + Text("mx.example.net");
}

std::vector<ByHand> RecordsByHand() {
  return {RecordByHand(3, 1, 100, 0xABCDEF0123456789, MessageByHand(), "content\r\n"),
          RecordByHand(3, 2, 101, 0xABCDEF0123456789, AttemptByHand()),
          RecordByHand(3, 3, 102, 0xABCDEF0123456789, Text("why")),
          RecordByHand(3, 1, 103, 77, MessageByHand(), "content\r\n"),
          RecordByHand(3, 3, 104, 77, Text("why")),
          RecordByHand(3, 4, 105, 77, ""),
          RecordByHand(3, 1, 106, 78, MessageByHand(), "content\r\n"),
          RecordByHand(3, 5, 107, 78, "")};
}

void ExpectWhatWasWrittenByHand(const Found& found) {
  EXPECT_TRUE(found.report.remarks.empty()) << found.report.remarks.front();
  ASSERT_EQ(Ids(found), (std::set<uint64_t>{77, 0xABCDEF0123456789}));
  const RecoveredMessage& message = found.messages.at(0xABCDEF0123456789);
  const MessageRecord& record = message.record;
  EXPECT_EQ(record.sender, "sender@example.org");
  EXPECT_EQ(record.envid, "envelope");
  EXPECT_EQ(record.ret, protocol::Ret::kFull);
  EXPECT_EQ(record.body, protocol::Body::kBinary);
  EXPECT_TRUE(record.smtputf8);
  EXPECT_FALSE(record.in_file);
  EXPECT_TRUE(record.delay_notified);
  EXPECT_EQ(record.arrival_us, 1'700'000'000'000'000);
  EXPECT_EQ(record.content_octets, 9u);
  EXPECT_EQ(record.client.ToAddress().ToString(), "127.1.1.1");
  EXPECT_EQ(record.submitter, "submitter");
  ASSERT_EQ(record.recipients.size(), 2u);
  EXPECT_EQ(record.recipients[0].address, "a@example.net");
  EXPECT_EQ(record.recipients[0].orcpt, "rfc822;a@example.net");
  EXPECT_EQ(record.recipients[0].notify, 6);
  EXPECT_EQ(record.recipients[0].kind, protocol::RecipientClass::kRelay);
  EXPECT_EQ(record.recipients[1].kind, protocol::RecipientClass::kRemote);
  EXPECT_TRUE(record.recipients[1].done);
  // From the attempt and the hold.
  EXPECT_EQ(record.attempts, 5u);
  EXPECT_EQ(record.next_attempt_us, 1'700'000'300'000'000);
  EXPECT_TRUE(record.recipients[0].done);
  EXPECT_EQ(record.hold_reason, "why");
  EXPECT_EQ(message.where.segment, 3u);
  EXPECT_EQ(message.where.offset, 64u);
  EXPECT_EQ(found.messages.at(77).record.hold_reason, "");
  EXPECT_EQ(found.contents.at(77), "content\r\n");
  EXPECT_EQ(found.report.records, 8u);
}

TEST(Format, ASegmentWrittenByHandIsRead) {
  std::string bytes = HeaderByHand(3, 100);
  for (const ByHand& one : RecordsByHand()) bytes += one.record;
  for (const size_t zeros : {size_t{0}, size_t{8}, size_t{4096}}) {
    FaultyDisk disk;
    disk.Put("log/000000000003.seg", bytes + std::string(zeros, '\0'));
    ExpectWhatWasWrittenByHand(Recover(disk));
  }
}

std::string SealedByHand() {
  std::string bytes = HeaderByHand(3, 100);
  std::string index;
  for (const ByHand& one : RecordsByHand()) {
    bytes += one.record;
    index += one.in_the_index;
  }
  const std::string seal = RecordByHand(3, 6, 108, bytes.size(), index).record;
  bytes.resize(16384 - 8 - seal.size(), '\0');
  return bytes + seal + U64(seal.size());
}

TEST(Format, AnIndexWrittenByHandIsRead) {
  FaultyDisk disk;
  std::string bytes = SealedByHand();
  ASSERT_EQ(bytes.size(), 16384u);
  disk.Put("log/000000000003.seg", bytes);
  ExpectWhatWasWrittenByHand(Recover(disk));
  // That it was the index which was read: nothing else of the first record is looked at.
  bytes[64 + 4] = '\x7f';
  disk.Put("log/000000000003.seg", bytes);
  Store store(disk, kSmall);
  std::set<uint64_t> ids;
  const auto open = [&]() -> io::Task<absl::Status> {
    co_return (co_await store.Open([&](RecoveredMessage&& one) {
      ids.insert(one.queue_id);
    })).status();
  };
  RunTask(open());
  EXPECT_EQ(ids.size(), 2u);
}

TEST(Format, WhatTheStoreWritesIsToTheOctetWhatIsWrittenByHand) {
  FaultyDisk disk;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(
        (co_await store.Commit(42, MessageByHand(), "content\r\n", Store::Why::kNewMail)).status());
    store.Append(RecordType::kHold, 42, HoldRecord{.reason = "why"});
    store.Append(RecordType::kRelease, 42, EmptyRecord{});
    CO_RETURN_IF_ERROR(co_await store.Flush());
    // Too large for what is left of the segment: that is sealed.
    co_return (
        co_await store.Commit(43, MessageByHand(), std::string(16000, 'x'), Store::Why::kNewMail))
        .status();
  };
  RunTask(WithStore(disk, life));
  std::string expected = HeaderByHand(1, 1);
  std::string index;
  for (const ByHand& one :
       {RecordByHand(1, 1, 1, 42, MessageByHand(), "content\r\n"),
        RecordByHand(1, 3, 2, 42, Text("why")), RecordByHand(1, 4, 3, 42, "")}) {
    expected += one.record;
    index += one.in_the_index;
  }
  const std::string seal = RecordByHand(1, 6, 4, expected.size(), index).record;
  expected.resize(16384 - 8 - seal.size(), '\0');
  expected += seal + U64(seal.size());
  EXPECT_TRUE(disk.files_.at("log/000000000001.seg")->synced == expected);
  EXPECT_EQ(disk.files_.at("log/000000000002.seg")->synced.substr(0, 64), HeaderByHand(2, 5));
}

// ---- Torn and damaged.

TEST(Recovery, ATailTornAtAnyOctetIsSaidAndWhatIsBeforeItIsThere) {
  const std::string before = SegmentMaker(1).Message(1).Message(2).Bytes();
  const std::string whole = SegmentMaker(1).Message(1).Message(2).Message(3).Bytes();
  for (const size_t zeros : {size_t{0}, size_t{8192}}) {
    for (size_t end = before.size(); end < whole.size(); ++end) {
      FaultyDisk disk;
      // The file ends there, or goes on in zeros.
      std::string torn = whole.substr(0, end);
      if (zeros > 0) torn.resize(whole.size() + zeros, '\0');
      const bool complete = torn.starts_with(whole);  // only padding is cut off
      disk.Put("log/000000000001.seg", torn);
      const Found found = Recover(disk);
      const auto expected = complete ? std::set<uint64_t>{1, 2, 3} : std::set<uint64_t>{1, 2};
      ASSERT_EQ(Ids(found), expected) << end;
      const bool nothing_there = end == before.size();
      EXPECT_EQ(Says(found, "never acknowledged"), !complete && !nothing_there) << end;
      EXPECT_EQ(disk.files_.at("log/000000000001.seg")->written, torn) << "nothing is guessed";
    }
  }
}

TEST(Recovery, ATailTornWithinAnyOctetRangeIsNotTaken) {
  const std::string before = SegmentMaker(1).Message(1).Bytes();
  const std::string whole = SegmentMaker(1).Message(1).Message(2).Bytes();
  for (size_t at = before.size(); at < whole.size(); ++at) {
    if (whole[at] == '\0') continue;
    std::string holed = whole;
    holed[at] = '\0';
    FaultyDisk disk;
    disk.Put("log/000000000001.seg", holed + std::string(4096, '\0'));
    const Found found = Recover(disk);
    ASSERT_EQ(Ids(found), std::set<uint64_t>{1}) << at;
    EXPECT_TRUE(Says(found, "never acknowledged")) << at;
  }
}

TEST(Recovery, NothingBehindATornRecordIsTaken) {
  std::string bytes = SegmentMaker(1).Message(1).Message(2).Message(3).Bytes(65536);
  const size_t second = SegmentMaker(1).Message(1).Bytes().size();
  bytes[second + 50] = static_cast<char>(bytes[second + 50] ^ 1);
  FaultyDisk disk;
  disk.Put("log/000000000001.seg", bytes);
  EXPECT_EQ(Ids(Recover(disk)), std::set<uint64_t>{1});
}

TEST(Recovery, ADamagedIndexCostsNothing) {
  const std::string sealed = SealedByHand();
  const size_t length = RecordByHand(3, 6, 108, 0, "").record.size();
  for (size_t at = sealed.size() - 300; at < sealed.size(); ++at) {
    std::string damaged = sealed;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    FaultyDisk disk;
    disk.Put("log/000000000003.seg", damaged);
    const Found found = Recover(disk);
    EXPECT_EQ(Ids(found), (std::set<uint64_t>{77, 0xABCDEF0123456789})) << at << " " << length;
  }
}

TEST(Recovery, AgainFindsTheSameAndTheLogGoesOnBehindIt) {
  FaultyDisk disk;
  disk.Put("log/000000000001.seg", SegmentMaker(1).Message(1).Bytes() + "torn");
  disk.Put("log/000000000007.seg", SegmentMaker(7, 50).Message(2).Bytes(8192));
  const Found first = Recover(disk);
  const Found second = Recover(disk);
  EXPECT_EQ(Ids(first), Ids(second));
  EXPECT_EQ(first.report.remarks, second.report.remarks);
  EXPECT_EQ(first.contents, second.contents);
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    co_return co_await CommitOne(store, 3, outcome);
  };
  RunTask(WithStore(disk, life));
  EXPECT_EQ(outcome.acknowledged[3].segment, 8u);
  const auto header =
      DecodeSegmentHeader(disk.files_.at("log/000000000008.seg")->synced.substr(0, 64));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->first_sequence, 51u);
  EXPECT_EQ(Ids(Recover(disk)), (std::set<uint64_t>{1, 2, 3}));
}

// ---- Foreign and newer.

TEST(Recovery, ASpoolOfANewerVersionIsRefusedAndNotTouched) {
  for (const bool good_checksum : {true, false}) {
    FaultyDisk disk;
    disk.Put("log/000000000001.seg", SegmentMaker(1).Message(1).Bytes());
    std::string newer = HeaderByHand(2, 9);
    newer[8] = 2;
    if (good_checksum) newer = newer.substr(0, 60) + U32(Crc(newer.substr(0, 60)));
    disk.Put("log/000000000002.seg", newer + std::string(4096, '\0'));
    Found found;
    const absl::Status refused = test::RunInFakeLoop(RecoverInto(disk, found));
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    EXPECT_NE(Message(refused).find("log/000000000002.seg: written in format version 2"),
              std::string_view::npos)
        << refused;
    EXPECT_TRUE(found.messages.empty());
    EXPECT_EQ(disk.operations(), 0);
  }
}

TEST(Recovery, ForeignFilesAreSaidAndLeftAlone) {
  const std::string text(100, 'x');
  const struct {
    const char* name;
    std::string bytes;
    const char* remark;
    uint64_t unreadable;
  } rows[] = {
      {"log/README", text, "not a segment of ours", 0},
      {"log/000000000009.seg~", text, "not a segment of ours", 0},
      {"log/00000000000x.seg", text, "not a segment of ours", 0},
      {"log/00000000009.seg", text, "not a segment of ours", 0},
      {"log/000000000000.seg", text, "not a segment of ours", 0},
      {"log/000000000009.seg", text, "not a queue segment, left alone", 1},
      {"log/000000000009.seg", "short", "too short for a queue segment, left alone", 1},
      {"log/000000000009.seg", HeaderByHand(8, 1), "says it is segment 8, left alone", 1},
      {"log/000000000009.seg", HeaderByHand(9, 1).replace(30, 1, "\x01") + "record",
       "the segment's header is damaged, left alone", 1},
      {"log/000000000009.seg", std::string(3u << 20, '\0') + "x", "left alone", 1},
      {"log/999999999999.seg", text, "not a queue segment, left alone", 1},
  };
  for (const auto& row : rows) {
    FaultyDisk disk;
    disk.Put("log/000000000008.seg", SegmentMaker(8).Message(1).Bytes(8192));
    disk.Put(row.name, row.bytes);
    const Found found = Recover(disk);
    EXPECT_EQ(found.report.remarks.size(), 1u) << row.name;
    EXPECT_TRUE(Says(found, row.remark)) << row.name << ": " << found.report.remarks.front();
    EXPECT_EQ(found.report.unreadable, row.unreadable) << row.name << " " << row.remark;
    EXPECT_EQ(Ids(found), std::set<uint64_t>{1});
    // And the log goes round it.
    Outcome outcome;
    const auto life = [&](Store& store) -> io::Task<absl::Status> {
      co_return co_await CommitOne(store, 2, outcome);
    };
    RunTask(WithStore(disk, life));
    EXPECT_EQ(outcome.acknowledged.size(), 1u) << row.name << " " << outcome.why;
    EXPECT_EQ(Ids(Recover(disk)), (std::set<uint64_t>{1, 2})) << row.name;
    EXPECT_EQ(disk.files_.at(row.name)->written, row.bytes) << row.name;
  }
}

TEST(Recovery, ASegmentThatWasMadeAndNeverWrittenToIsRemoved) {
  for (const size_t octets : {size_t{0}, size_t{1}, size_t{64}, size_t{3u << 20}}) {
    FaultyDisk disk;
    disk.Put("log/000000000001.seg", std::string(octets, '\0'));
    const Found found = Recover(disk);
    EXPECT_TRUE(Says(found, "made but never written to, removed")) << octets;
    EXPECT_EQ(found.report.unreadable, 0u);
    EXPECT_TRUE(disk.files_.empty()) << octets;
  }
  // A header that was begun, by whatever part of it.
  for (size_t octets = 8; octets < 64; ++octets) {
    FaultyDisk disk;
    std::string begun = HeaderByHand(1, 1).substr(0, octets);
    if (octets >= 60 && HeaderByHand(1, 1)[octets] == '\0') continue;
    begun.resize(8192, '\0');
    disk.Put("log/000000000001.seg", begun);
    EXPECT_TRUE(Says(Recover(disk), "made but never written to, removed")) << octets;
    EXPECT_TRUE(disk.files_.empty()) << octets;
  }
  FaultyDisk disk;
  disk.Put("log/000000000001.seg", std::string(64, '\0'));
  disk.FailAt(1, FaultyDisk::Fault::kError, absl::UnknownError("EIO"));
  EXPECT_TRUE(Says(Recover(disk), "not removed: EIO"));
}

TEST(Recovery, TheLastNumberOfASegmentIsTheLast) {
  FaultyDisk disk;
  disk.Put("log/999999999999.seg", SegmentMaker(999'999'999'999).Message(1).Bytes(8192));
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    co_return co_await CommitOne(store, 2, outcome);
  };
  // Not in a file that no start would look for; the removal that follows has no place either.
  const absl::Status ended = test::RunInFakeLoop(WithStore(disk, life));
  EXPECT_EQ(outcome.refused.size(), 1u);
  EXPECT_EQ(outcome.why.code(), absl::StatusCode::kFailedPrecondition) << outcome.why << ended;
}

TEST(Recovery, AFaultWhileReadingEndsTheStartAndNeverLosesAPart) {
  FaultyDisk disk;
  disk.Put("log/000000000001.seg", SegmentMaker(1).Message(1).Message(2).Bytes(8192));
  disk.Put("log/000000000003.seg", SealedByHand());
  disk.Put("log/000000000004.seg", SegmentMaker(4).Message(1).Bytes(8192));
  const Found whole = Recover(disk);
  ASSERT_EQ(Ids(whole).size(), 4u);
  const int looks = disk.looks();
  ASSERT_GT(looks, 10);
  int refused = 0;
  for (int at = 1; at <= looks; ++at) {
    const std::unique_ptr<FaultyDisk> faulty = disk.Copy();
    faulty->FailLookAt(at, absl::UnknownError("EIO"));
    Found found;
    const absl::Status ended = test::RunInFakeLoop(RecoverInto(*faulty, found));
    if (ended.ok()) {
      EXPECT_EQ(Ids(found), Ids(whole)) << at;
    } else {
      ++refused;
      EXPECT_NE(Message(ended).find("EIO"), std::string_view::npos) << ended;
    }
  }
  EXPECT_GT(refused, looks / 2) << "an index that cannot be read is the one thing done without";
}

}  // namespace
}  // namespace postern::qmgr
