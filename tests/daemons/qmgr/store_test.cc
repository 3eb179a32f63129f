#include "daemons/qmgr/store.h"

#include "tests/daemons/qmgr/store_testing.h"

namespace postern::qmgr {
namespace {

io::Task<absl::Status> LoadInto(Store& store, uint64_t id, Location where,
                                absl::StatusOr<LoadedMessage>& loaded) {
  loaded = co_await store.Load(id, where);
  co_return absl::OkStatus();
}

TEST(Store, WhatWasCommittedIsThereAfterAPowerCut) {
  FaultyDisk disk;
  Outcome outcome;
  uint64_t commits = 0;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await CommitMany(store, 1, 200, outcome));
    commits = store.counters().commits;
    co_return absl::OkStatus();
  };
  RunTask(WithStore(disk, life));
  ASSERT_EQ(outcome.acknowledged.size(), 200u);
  EXPECT_LT(commits, 100u) << "messages that come together share a commit";
  const auto after = disk.AfterPowerCut(0);
  const Found found = Recover(*after);
  EXPECT_EQ(found.messages.size(), 200u);
  for (uint64_t id = 1; id <= 200; ++id) EXPECT_EQ(found.contents.at(id), ContentOf(id)) << id;
  EXPECT_GE(after->files_.size(), 2u) << "more than one segment was needed";
  EXPECT_TRUE(found.report.remarks.empty());
}

TEST(Store, LaterRecordsAreAppliedAtRecovery) {
  FaultyDisk disk;
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await CommitMany(store, 1, 4, outcome));
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
    co_return co_await store.Flush();
  };
  RunTask(WithStore(disk, life));
  Found found = Recover(*disk.AfterPowerCut(0));
  ASSERT_EQ(found.messages.size(), 3u);
  EXPECT_EQ(found.messages[1].record.attempts, 3u);
  EXPECT_EQ(found.messages[1].record.next_attempt_us, 77);
  EXPECT_TRUE(found.messages[1].record.delay_notified);
  EXPECT_FALSE(found.messages[1].record.recipients[0].done);
  EXPECT_TRUE(found.messages[1].record.recipients[1].done);
  EXPECT_EQ(found.messages[2].record.hold_reason, "because");
  EXPECT_EQ(found.messages[3].record.hold_reason, "");
}

TEST(Store, AnAttemptIsReadBackFromWhereItWasWritten) {
  FaultyDisk disk;
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    Location where;
    store.OnAttemptWritten([&where](uint64_t id, Location at) {
      if (id == 2) where = at;
    });
    CO_RETURN_IF_ERROR(co_await CommitMany(store, 1, 2, outcome));
    AttemptRecord attempt{.attempts = 9, .recipients = {}};
    store.Append(RecordType::kAttempt, 2, attempt);
    CO_RETURN_IF_ERROR(co_await store.Flush());
    CO_ASSIGN_OR_RETURN(const AttemptRecord read, co_await store.LoadAttempt(2, where));
    EXPECT_EQ(read.attempts, 9u);
    EXPECT_TRUE(absl::IsDataLoss((co_await store.LoadAttempt(1, where)).status()))
        << "another message's";
    EXPECT_TRUE(absl::IsDataLoss((co_await store.Load(2, where)).status())) << "no message";
    co_return absl::OkStatus();
  };
  RunTask(WithStore(disk, life));
}

TEST(Store, SegmentsWithNothingAliveAreRemoved) {
  FaultyDisk disk;
  Outcome outcome;
  size_t segments = 0;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    for (uint64_t id = 1; id <= 300; ++id) {
      CO_RETURN_IF_ERROR(co_await CommitOne(store, id, outcome));
      store.Append(RecordType::kRemove, id, EmptyRecord{});
      store.Forget(outcome.acknowledged[id]);
    }
    CO_RETURN_IF_ERROR(co_await store.Flush());
    segments = store.segment_count();
    co_return absl::OkStatus();
  };
  RunTask(WithStore(disk, life));
  EXPECT_LE(segments, 2u);
  EXPECT_LE(disk.files_.size(), 2u);
}

TEST(Store, AReadUnderWayOutlastsItsSegment) {
  FaultyDisk disk;
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await CommitMany(store, 1, 60, outcome));
    const Location first = outcome.acknowledged[1];
    // A read that has begun, and whose message is copied and its segment unlinked meanwhile.
    absl::StatusOr<LoadedMessage> loaded = absl::UnknownError("not read");
    io::TaskScope reading;
    disk.HoldReads();
    reading.Spawn(LoadInto(store, 1, first, loaded));
    co_await io::YieldTurn();
    for (const auto& [id, where] : outcome.acknowledged) {
      if (where.segment == first.segment) store.Forget(where);
    }
    CO_RETURN_IF_ERROR(co_await CommitOne(store, 100, outcome));
    EXPECT_FALSE(disk.files_.contains("log/000000000001.seg"));
    disk.ReleaseReads();
    co_await reading.Join();
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    if (loaded.ok()) EXPECT_EQ(loaded->content, ContentOf(1));
    EXPECT_TRUE(absl::IsNotFound((co_await store.Load(1, first)).status()));
    co_return absl::OkStatus();
  };
  RunTask(WithStore(disk, life));
}

TEST(Store, AFullDiskRefusesNewMailAndTakesItAgainWhenThereIsRoom) {
  FaultyDisk disk;
  disk.SetFree(kSmall.reserve_octets);
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await CommitMany(store, 1, 3, outcome));
    EXPECT_EQ(outcome.refused.size(), 3u);
    EXPECT_TRUE(absl::IsResourceExhausted(outcome.why)) << outcome.why;
    disk.SetFree(uint64_t{1} << 40);
    co_return co_await CommitMany(store, 10, 3, outcome);
  };
  RunTask(WithStore(disk, life));
  EXPECT_EQ(outcome.acknowledged.size(), 3u);
}

TEST(Store, RoomIsRefusedBelowTheReserveAndNotAtIt) {
  FaultyDisk disk;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    constexpr uint64_t kFull = kSmall.reserve_octets + (1u << 20);  // and a small segment
    disk.SetFree(kFull + 5000);
    EXPECT_TRUE(store.HasRoomFor(5000));
    EXPECT_FALSE(store.HasRoomFor(5001));
    disk.SetFree(kFull + 6000);
    EXPECT_FALSE(store.HasRoomFor(6000)) << "asked once a second";
    IgnoreStatus(co_await io::Sleep(io::Loop::Current().After(absl::Milliseconds(1001))), "time");
    EXPECT_TRUE(store.HasRoomFor(6000));
    co_return absl::OkStatus();
  };
  RunTask(WithStore(disk, life));
}

}  // namespace
}  // namespace postern::qmgr
