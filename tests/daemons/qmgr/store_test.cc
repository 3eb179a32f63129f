#include "daemons/qmgr/store.h"

#include <set>

#include "common/base/bytes.h"
#include "common/base/crc32c.h"

#include "common/io/scope.h"
#include "tests/daemons/qmgr/faulty_disk.h"
#include "tests/testing/run_in_loop.h"

namespace postern::qmgr {
namespace {

// The store needs a loop for its waits only: its disk is memory.
class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { loop = test::MakeLoop(io::BackendKind::kEpoll, 0); }
  void Run(io::Task<absl::Status> task) {
    const absl::Status ended = loop->Run(std::move(task));
    EXPECT_TRUE(ended.ok()) << ended;
  }
  std::unique_ptr<io::Loop> loop;
};

constexpr StoreOptions kSmall{.segment_octets = 64u << 10, .reserve_octets = 1u << 20};

std::string BodyOf(int n) {
  MessageRecord record;
  record.sender = "sender" + std::to_string(n) + "@example.org";
  record.arrival_us = n;
  record.recipients = {{.address = "a@example.net",
                        .orcpt = {},
                        .notify = 0,
                        .kind = protocol::RecipientClass::kRemote,
                        .done = false},
                       {.address = "b@example.net",
                        .orcpt = {},
                        .notify = 0,
                        .kind = protocol::RecipientClass::kRemote,
                        .done = false}};
  std::string body;
  EXPECT_TRUE(ipc::Encode(record, body));
  return body;
}

std::string ContentOf(int n) {
  return "Subject: " + std::to_string(n) + "\r\n\r\n" +
         std::string(static_cast<size_t>(n % 3000), 'x') + "\r\n";
}

struct Outcome {
  std::map<uint64_t, Location> acknowledged;
  std::set<uint64_t> refused;
};

io::Task<absl::Status> CommitOne(Store& store, int n, Outcome& outcome) {
  const auto where = co_await store.Commit(static_cast<uint64_t>(n), BodyOf(n), ContentOf(n),
                                           Store::Why::kNewMail);
  if (where.ok()) {
    outcome.acknowledged[static_cast<uint64_t>(n)] = *where;
  } else {
    outcome.refused.insert(static_cast<uint64_t>(n));
  }
  co_return absl::OkStatus();
}

io::Task<absl::Status> RunStore(Store& store) { co_return co_await store.Run(); }

// Opens, commits `count` messages a few at a time, and stops.
io::Task<absl::Status> Fill(Disk& disk, int first, int count, Outcome& outcome, uint64_t& commits) {
  Store store(disk, kSmall);
  io::TaskScope writer;
  const auto opened = co_await store.Open([](RecoveredMessage&&) {});
  CO_RETURN_IF_ERROR(opened.status());
  writer.Spawn(RunStore(store));
  for (int n = first; n < first + count;) {
    io::TaskScope group;
    for (int i = 0; i < 7 && n < first + count; ++i, ++n) group.Spawn(CommitOne(store, n, outcome));
    co_await group.Join();
  }
  commits = store.counters().commits;
  writer.RequestStop();
  co_await writer.Join();
  co_return absl::OkStatus();
}

io::Task<absl::Status> Recover(Disk& disk, std::map<uint64_t, RecoveredMessage>& found,
                               std::vector<std::string>& remarks,
                               std::map<uint64_t, std::string>* contents) {
  Store store(disk, kSmall);
  auto report = co_await store.Open(
      [&](RecoveredMessage&& message) { found[message.queue_id] = std::move(message); });
  CO_RETURN_IF_ERROR(report.status());
  remarks = report->remarks;
  if (contents == nullptr) co_return absl::OkStatus();
  for (const auto& [id, message] : found) {
    CO_ASSIGN_OR_RETURN(const LoadedMessage loaded, co_await store.Load(id, message.where));
    (*contents)[id] = loaded.content;
  }
  co_return absl::OkStatus();
}

TEST_F(StoreTest, WhatWasCommittedIsThereAfterAPowerCut) {
  FaultyDisk disk;
  Outcome outcome;
  uint64_t commits = 0;
  Run(Fill(disk, 1, 200, outcome, commits));
  ASSERT_EQ(outcome.acknowledged.size(), 200u);
  EXPECT_LT(commits, 100u) << "messages that come together share a commit";
  const auto after = disk.AfterPowerCut(0);
  std::map<uint64_t, RecoveredMessage> found;
  std::map<uint64_t, std::string> contents;
  std::vector<std::string> remarks;
  Run(Recover(*after, found, remarks, &contents));
  EXPECT_EQ(found.size(), 200u);
  for (int n = 1; n <= 200; ++n) EXPECT_EQ(contents[static_cast<uint64_t>(n)], ContentOf(n)) << n;
  EXPECT_GE(after->files_.size(), 2u) << "more than one segment was needed";
}

TEST_F(StoreTest, ATornTailIsSaidAndWhatIsBeforeItIsThere) {
  for (const size_t torn : {1u, 7u, 50u, 300u, 1000u}) {
    FaultyDisk disk;
    Outcome outcome;
    uint64_t commits = 0;
    Run(Fill(disk, 1, 20, outcome, commits));
    // One more batch is written and not synced.
    disk.FailAt(disk.operations() + 1000, FaultyDisk::Fault::kNone, {});
    for (auto& [name, content] : disk.files_) {
      std::string record;
      ASSERT_TRUE(AppendRecord(record, 1, RecordType::kMessage, 999, 999,
                               std::string_view(BodyOf(999)), ContentOf(999)));
      const size_t end = content->written.find_last_not_of('\0') / 8 * 8 + 8;
      content->written.replace(end, record.size(), record);
    }
    const auto after = disk.AfterPowerCut(torn);
    std::map<uint64_t, RecoveredMessage> found;
    std::vector<std::string> remarks;
    Run(Recover(*after, found, remarks, nullptr));
    EXPECT_FALSE(found.contains(999)) << torn;
    for (const auto& [id, where] : outcome.acknowledged) EXPECT_TRUE(found.contains(id)) << torn;
  }
}

TEST_F(StoreTest, NoFaultAtAnyOperationMakesAFalseAcknowledgement) {
  // How many operations an undisturbed run has; then each of them fails, in each way.
  FaultyDisk undisturbed;
  Outcome all;
  uint64_t commits = 0;
  Run(Fill(undisturbed, 1, 60, all, commits));
  const int operations = undisturbed.operations();
  for (const FaultyDisk::Fault fault : {FaultyDisk::Fault::kError, FaultyDisk::Fault::kShort}) {
    for (int at = 1; at <= operations; ++at) {
      FaultyDisk disk;
      disk.FailAt(at, fault,
                  fault == FaultyDisk::Fault::kError ? absl::UnknownError("EIO")
                                                     : absl::ResourceExhaustedError("ENOSPC"));
      Outcome outcome;
      Run(Fill(disk, 1, 60, outcome, commits));
      EXPECT_EQ(outcome.acknowledged.size() + outcome.refused.size(), 60u) << "operation " << at;
      EXPECT_GE(outcome.acknowledged.size(), 40u) << "one fault costs one batch, operation " << at;
      const auto after = disk.AfterPowerCut(0);
      std::map<uint64_t, RecoveredMessage> found;
      std::vector<std::string> remarks;
      Run(Recover(*after, found, remarks, nullptr));
      for (const auto& [id, where] : outcome.acknowledged) {
        ASSERT_TRUE(found.contains(id))
            << "message " << id << " was acknowledged and is lost; operation " << at;
      }
    }
  }
}

io::Task<absl::Status> CommitThenChange(Disk& disk) {
  Store store(disk, kSmall);
  CO_RETURN_IF_ERROR((co_await store.Open([](RecoveredMessage&&) {})).status());
  io::TaskScope writer;
  writer.Spawn(RunStore(store));
  Outcome outcome;
  for (int n = 1; n <= 4; ++n) CO_RETURN_IF_ERROR(co_await CommitOne(store, n, outcome));
  AttemptRecord attempt{
      .attempts = 3, .at_us = 5, .next_attempt_us = 77, .delay_notified = true, .recipients = {}};
  attempt.recipients.push_back({.index = 1,
                                .done = true,
                                .status = "2.0.0",
                                .diagnostic = "ok",
                                .remote_words = true,
                                .remote = "mx"});
  store.Append(RecordType::kAttempt, 1, attempt);
  store.Append(RecordType::kHold, 2, HoldRecord{.reason = "because"});
  store.Append(RecordType::kHold, 3, HoldRecord{.reason = "because"});
  store.Append(RecordType::kRelease, 3, EmptyRecord{});
  store.Append(RecordType::kRemove, 4, EmptyRecord{});
  CO_RETURN_IF_ERROR(co_await store.Flush());
  writer.RequestStop();
  co_await writer.Join();
  co_return absl::OkStatus();
}

TEST_F(StoreTest, LaterRecordsAreAppliedAtRecovery) {
  FaultyDisk disk;
  Run(CommitThenChange(disk));
  const auto after = disk.AfterPowerCut(0);
  std::map<uint64_t, RecoveredMessage> found;
  std::vector<std::string> remarks;
  Run(Recover(*after, found, remarks, nullptr));
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[1].record.attempts, 3u);
  EXPECT_EQ(found[1].record.next_attempt_us, 77);
  EXPECT_TRUE(found[1].record.delay_notified);
  EXPECT_FALSE(found[1].record.recipients[0].done);
  EXPECT_TRUE(found[1].record.recipients[1].done);
  EXPECT_EQ(found[2].record.hold_reason, "because");
  EXPECT_EQ(found[3].record.hold_reason, "");
}

io::Task<absl::Status> FillAndForget(Disk& disk, size_t& segments) {
  Store store(disk, kSmall);
  CO_RETURN_IF_ERROR((co_await store.Open([](RecoveredMessage&&) {})).status());
  io::TaskScope writer;
  writer.Spawn(RunStore(store));
  Outcome outcome;
  for (int n = 1; n <= 300; ++n) {
    CO_RETURN_IF_ERROR(co_await CommitOne(store, n, outcome));
    store.Append(RecordType::kRemove, static_cast<uint64_t>(n), EmptyRecord{});
    store.Forget(outcome.acknowledged[static_cast<uint64_t>(n)]);
  }
  CO_RETURN_IF_ERROR(co_await store.Flush());
  writer.RequestStop();
  co_await writer.Join();
  segments = store.segment_count();
  co_return absl::OkStatus();
}

TEST_F(StoreTest, SegmentsWithNothingAliveAreRemoved) {
  FaultyDisk disk;
  size_t segments = 0;
  Run(FillAndForget(disk, segments));
  EXPECT_LE(segments, 2u);
  EXPECT_LE(disk.files_.size(), 2u);
}

TEST_F(StoreTest, AFullDiskRefusesNewMailAndNothingElse) {
  FaultyDisk disk;
  disk.SetFree(kSmall.reserve_octets);
  Outcome outcome;
  uint64_t commits = 0;
  Run(Fill(disk, 1, 3, outcome, commits));
  EXPECT_EQ(outcome.refused.size(), 3u);
  disk.SetFree(uint64_t{1} << 40);
  Run(Fill(disk, 10, 3, outcome, commits));
  EXPECT_EQ(outcome.acknowledged.size(), 3u);
}

TEST_F(StoreTest, ASpoolOfANewerVersionIsNotTouched) {
  FaultyDisk disk;
  Outcome outcome;
  uint64_t commits = 0;
  Run(Fill(disk, 1, 3, outcome, commits));
  auto& content = *disk.files_.begin()->second;
  std::string header = content.written.substr(0, kSegmentHeaderOctets);
  header[8] = 2;
  std::string covered = header.substr(0, kSegmentHeaderOctets - 4);
  AppendLittleEndian(covered, Crc32c(covered));
  content.written.replace(0, covered.size(), covered);
  std::map<uint64_t, RecoveredMessage> found;
  std::vector<std::string> remarks;
  const absl::Status refused = loop->Run(Recover(disk, found, remarks, nullptr));
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
}

TEST_F(StoreTest, AForeignFileIsSaidAndLeftAlone) {
  FaultyDisk disk;
  disk.files_["log/README"] = std::make_shared<FaultyDisk::Content>();
  disk.files_["log/000000000009.seg"] = std::make_shared<FaultyDisk::Content>(FaultyDisk::Content{
      "not a segment at all, but long enough to hold a header of its own......", "", true});
  std::map<uint64_t, RecoveredMessage> found;
  std::vector<std::string> remarks;
  Run(Recover(disk, found, remarks, nullptr));
  EXPECT_EQ(remarks.size(), 2u);
  EXPECT_TRUE(disk.files_.contains("log/README"));
  EXPECT_TRUE(disk.files_.contains("log/000000000009.seg"));
}

TEST(Records, AnyFlippedBitInHeaderOrBodyIsNoticed) {
  std::string record;
  ASSERT_TRUE(AppendRecord(record, 7, RecordType::kMessage, 1, 2, std::string_view(BodyOf(1)),
                           ContentOf(1)));
  const auto whole = [](std::string_view bytes, uint64_t segment) {
    const Parsed<RecordHeader> header = DecodeRecordHeader(bytes);
    if (!header.has_value() || header->total() > bytes.size()) return false;
    return CheckBody(*header, segment, bytes.substr(kRecordHeaderOctets, header->body_octets)) &&
           CheckContent(*header, bytes.substr(kRecordHeaderOctets + header->body_octets,
                                              header->content_octets));
  };
  ASSERT_TRUE(whole(record, 7));
  EXPECT_FALSE(whole(record, 8)) << "a record of another segment";
  const size_t padding_from = kRecordHeaderOctets + BodyOf(1).size() + ContentOf(1).size();
  for (size_t i = 0; i < padding_from; ++i) {
    if (i >= 5 && i < 8) continue;  // unused octets of the header
    std::string flipped = record;
    flipped[i] = static_cast<char>(flipped[i] ^ 4);
    EXPECT_FALSE(whole(flipped, 7)) << i;
  }
}

}  // namespace
}  // namespace postern::qmgr
