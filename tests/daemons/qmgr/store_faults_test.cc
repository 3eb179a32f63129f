// Every operation of the store's disk fails in turn, in each way, and the power goes before every
// one: what was acknowledged is there, whole, and what was taken back or removed is not.
#include <random>

#include "daemons/qmgr/store.h"
#include "tests/daemons/qmgr/store_testing.h"

namespace postern::qmgr {
namespace {

using Fault = FaultyDisk::Fault;

const absl::Status kEio = absl::UnknownError("EIO");
const absl::Status kEnospc = absl::ResourceExhaustedError("ENOSPC");

// A life of the queue: mail comes, some is tried, held, delivered; old segments die and are
// removed, and what is left in the oldest is copied forward.
struct Life {
  std::set<uint64_t> acknowledged;  // and not removed
  std::set<uint64_t> may_be_gone;   // a removal was appended
  std::set<uint64_t> gone;          // and is durable
  std::set<uint64_t> refused;
  // May still be found: its removal follows, but was not durable when looked at.
  bool refused_may_be_there = true;

  io::Task<absl::Status> operator()(Store& store) {
    for (uint64_t round = 0; round < 8; ++round) {
      Outcome outcome;
      CO_RETURN_IF_ERROR(co_await CommitSome(store, 1 + round * 20, 20, outcome));
      for (const auto& [id, where] : outcome.acknowledged) {
        if (id % 3 == 0) {
          store.Append(RecordType::kAttempt, id, AttemptRecord{.attempts = 1, .recipients = {}});
        }
        if (id % 10 == 0) continue;  // these stay, and are copied forward
        acknowledged.erase(id);
        may_be_gone.insert(id);
        store.Append(RecordType::kRemove, id, EmptyRecord{});
        store.Forget(where);
      }
      if ((co_await store.Flush()).ok()) {
        gone.insert(may_be_gone.begin(), may_be_gone.end());
        may_be_gone.clear();
      }
      if (const uint64_t segment = store.SegmentToEmpty(); segment != 0)
        co_await CopyForward(store, segment);
    }
    // What failed is tried again until it is durable.
    for (int i = 0; i < 3 && !(co_await store.Flush()).ok(); ++i) {
      IgnoreStatus(co_await io::Sleep(io::Loop::Current().After(absl::Seconds(1))), "a pause");
    }
    CO_RETURN_IF_ERROR(co_await store.Flush());
    gone.insert(may_be_gone.begin(), may_be_gone.end());
    may_be_gone.clear();
    refused_may_be_there = false;
    co_return absl::OkStatus();
  }

 private:
  std::map<uint64_t, Location> staying_;

  io::Task<absl::Status> CommitOneHere(Store& store, uint64_t id, Outcome& outcome) {
    CO_RETURN_IF_ERROR(co_await CommitOne(store, id, outcome));
    const auto found = outcome.acknowledged.find(id);
    if (found == outcome.acknowledged.end()) {
      refused.insert(id);
    } else {
      acknowledged.insert(id);
      if (id % 10 == 0) staying_[id] = found->second;
    }
    co_return absl::OkStatus();
  }
  io::Task<absl::Status> CommitSome(Store& store, uint64_t first, uint64_t count,
                                    Outcome& outcome) {
    for (uint64_t id = first; id < first + count;) {
      io::TaskScope group;
      for (int i = 0; i < 7 && id < first + count; ++i, ++id)
        group.Spawn(CommitOneHere(store, id, outcome));
      co_await group.Join();
    }
    co_return absl::OkStatus();
  }
  io::Task<void> CopyForward(Store& store, uint64_t segment) {
    for (auto& [id, where] : staying_) {
      if (where.segment != segment) continue;
      const auto copied = co_await store.Commit(id, BodyOf(id), ContentOf(id), Store::Why::kCopy);
      if (copied.ok()) store.Forget(std::exchange(where, *copied));
    }
  }
};

io::Task<absl::Status> RunInto(Store& store, absl::Status& ended) {
  ended = co_await store.Run();
  co_return absl::OkStatus();
}

void Expect(const Life& life, Disk& disk, const std::string& label) {
  const Found found = Recover(disk);
  for (const uint64_t id : life.acknowledged) {
    ASSERT_TRUE(found.messages.contains(id)) << "message " << id << " is lost; " << label;
  }
  for (const auto& [id, message] : found.messages) {
    EXPECT_EQ(found.contents.at(id), ContentOf(id)) << id << "; " << label;
    EXPECT_FALSE(life.gone.contains(id)) << "message " << id << " came back; " << label;
    EXPECT_TRUE(life.refused_may_be_there || !life.refused.contains(id))
        << "refused message " << id << " is there; " << label;
  }
}

void LiveOn(FaultyDisk& disk, Life& life) { RunTask(WithStore(disk, life)); }

int OperationsOfAnUndisturbedLife() {
  FaultyDisk disk;
  Life life;
  LiveOn(disk, life);
  EXPECT_TRUE(life.refused.empty());
  EXPECT_EQ(life.acknowledged.size(), 16u);
  EXPECT_EQ(life.gone.size(), 144u);
  return disk.operations();
}

TEST(StoreFaults, AFaultAtAnyOperationCostsOneBatchAndNothingThatWasAcknowledged) {
  const int operations = OperationsOfAnUndisturbedLife();
  ASSERT_GT(operations, 60);
  for (const auto& [fault, status] : {std::pair(Fault::kError, kEio), {Fault::kShort, kEnospc}}) {
    for (int at = 1; at <= operations; ++at) {
      FaultyDisk disk;
      disk.FailAt(at, fault, status);
      Life life;
      LiveOn(disk, life);
      EXPECT_LE(life.refused.size(), 7u) << "operation " << at;
      const std::string label = "operation " + std::to_string(at);
      Expect(life, *disk.AfterPowerCut(0), label + ", power cut");
      Expect(life, *disk.AfterPowerCut([] { return true; }), label + ", all reached the disk");
      Expect(life, disk, label + ", restarted");
    }
  }
}

// The disk and what was promised, as they were before an operation.
struct Moment {
  std::unique_ptr<FaultyDisk> disk;
  Life life;
  std::string label;
};

void ExpectAfterPowerCuts(const Moment& moment, uint32_t seed) {
  std::minstd_rand random(seed);
  // Every sector, creation and removal by itself; then all lost, then all there.
  for (int i = 0; i < 4; ++i) {
    Expect(moment.life, *moment.disk->AfterPowerCut([&] { return random() % 2 == 0; }),
           moment.label);
  }
  Expect(moment.life, *moment.disk->AfterPowerCut([] { return false; }),
         moment.label + ", nothing");
  Expect(moment.life, *moment.disk->AfterPowerCut([] { return true; }),
         moment.label + ", everything");
  // And when only the process dies.
  Expect(moment.life, *moment.disk, moment.label + ", killed");
}

TEST(StoreFaults, ThePowerMayGoBeforeAnyOperationWithAnyPartOfTheUnsyncedLost) {
  FaultyDisk disk;
  Life life;
  std::vector<Moment> moments;
  disk.OnOperation([&] {
    moments.push_back(
        {disk.Copy(), life, "before operation " + std::to_string(moments.size() + 1)});
  });
  LiveOn(disk, life);
  ASSERT_GT(moments.size(), 60u);
  for (const Moment& moment : moments) ExpectAfterPowerCuts(moment, 7);
}

TEST(StoreFaults, ThePowerMayGoAfterAFaultToo) {
  const int operations = OperationsOfAnUndisturbedLife();
  for (int at = 1; at <= operations; at += 3) {
    FaultyDisk disk;
    Life life;
    std::vector<Moment> moments;
    disk.FailAt(at, Fault::kError, kEio);
    disk.OnOperation([&] {
      if (disk.operations() >= at && disk.operations() <= at + 6)
        moments.push_back({disk.Copy(), life, "fault " + std::to_string(at)});
    });
    LiveOn(disk, life);
    for (const Moment& moment : moments) ExpectAfterPowerCuts(moment, static_cast<uint32_t>(at));
  }
}

TEST(StoreFaults, WhatWasRemovedDoesNotComeBackWhenSeveralSegmentsDieAtOnce) {
  FaultyDisk disk;
  std::set<uint64_t> gone;
  std::vector<std::unique_ptr<FaultyDisk>> moments;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    Outcome outcome;
    // The first segment, whose removals lie in the second, and a third.
    uint64_t id = 1;
    while (outcome.acknowledged.empty() || outcome.acknowledged.rbegin()->second.segment < 2)
      CO_RETURN_IF_ERROR(co_await CommitOne(store, id++, outcome));
    for (uint64_t one = 2; one < id; ++one) {
      store.Append(RecordType::kRemove, one, EmptyRecord{});
      gone.insert(one);
    }
    CO_RETURN_IF_ERROR(co_await store.Flush());
    while (outcome.acknowledged.rbegin()->second.segment < 3)
      CO_RETURN_IF_ERROR(co_await CommitOne(store, id++, outcome));
    for (const auto& [one, where] : outcome.acknowledged) {
      store.Forget(where);
      if (gone.insert(one).second) store.Append(RecordType::kRemove, one, EmptyRecord{});
    }
    EXPECT_EQ(disk.files_.size(), 3u);
    // From when the removals are durable.
    const uint64_t records = store.counters().records;
    disk.OnOperation([&] {
      if (store.counters().records > records) moments.push_back(disk.Copy());
    });
    CO_RETURN_IF_ERROR(co_await store.Flush());
    co_return co_await CommitOne(store, 1000, outcome);
  };
  RunTask(WithStore(disk, life));
  EXPECT_EQ(disk.files_.size(), 1u);
  ASSERT_GE(moments.size(), 4u);
  std::minstd_rand random(3);
  for (const auto& moment : moments) {
    for (int i = 0; i < 32; ++i) {
      const Found found = Recover(*moment->AfterPowerCut([&] { return random() % 2 == 0; }));
      for (const auto& [id, message] : found.messages) EXPECT_FALSE(gone.contains(id)) << id;
    }
  }
}

TEST(StoreFaults, ASegmentOnABadSpotIsGivenUpAndTheLogGoesOnInTheNext) {
  FaultyDisk disk;
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await CommitOne(store, 1, outcome));
    disk.BreakFile("log/000000000001.seg", kEio);
    CO_RETURN_IF_ERROR(co_await CommitOne(store, 2, outcome));
    co_return co_await CommitOne(store, 3, outcome);
  };
  RunTask(WithStore(disk, life));
  EXPECT_EQ(outcome.refused, std::set<uint64_t>{2});
  EXPECT_EQ(outcome.acknowledged[1].segment, 1u);
  EXPECT_EQ(outcome.acknowledged[3].segment, 2u);
  const Found found = Recover(*disk.AfterPowerCut(0));
  EXPECT_EQ(found.messages.size(), 2u);
}

TEST(StoreFaults, ARefusedMessageWhoseBytesReachedTheDiskIsTakenBack) {
  FaultyDisk disk;
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await CommitOne(store, 1, outcome));
    disk.FailAt(2, Fault::kShort, kEio);  // the sync of the next
    CO_RETURN_IF_ERROR(co_await CommitOne(store, 2, outcome));
    co_return co_await CommitOne(store, 3, outcome);
  };
  RunTask(WithStore(disk, life));
  ASSERT_EQ(outcome.refused, std::set<uint64_t>{2});
  const std::string& first = disk.files_.at("log/000000000001.seg")->synced;
  EXPECT_NE(first.find("Subject: 2"), std::string::npos) << "the bytes did reach the disk";
  const Found found = Recover(*disk.AfterPowerCut(0));
  EXPECT_TRUE(found.messages.contains(1));
  EXPECT_FALSE(found.messages.contains(2));
  EXPECT_TRUE(found.messages.contains(3));
}

// A copy whose sync failed and whose process then died: the next one reads it from the page cache.
std::unique_ptr<FaultyDisk> DiskWithACopyThatIsNotOnIt() {
  FaultyDisk disk;
  std::unique_ptr<FaultyDisk> left;
  Outcome outcome;
  const auto first_life = [&](Store& store) -> io::Task<absl::Status> {
    co_return co_await CommitOne(store, 1, outcome);
  };
  RunTask(WithStore(disk, first_life));
  const auto second_life = [&](Store& store) -> io::Task<absl::Status> {
    disk.FailAt(5, Fault::kError, kEio);  // create, write, sync, sync of the directory, write; sync
    disk.FailAt(6, Fault::kError, kEio);
    const auto copied = co_await store.Commit(1, BodyOf(1), ContentOf(1), Store::Why::kCopy);
    EXPECT_FALSE(copied.ok());
    left = disk.Copy();
    co_return absl::OkStatus();
  };
  RunTask(WithStore(disk, second_life));
  Found found = Recover(*left->Copy());
  EXPECT_EQ(found.messages[1].where.segment, 2u) << "the copy is what a start finds";
  EXPECT_FALSE(Recover(*left->AfterPowerCut(0)).messages[1].where.segment == 2u);
  return left;
}

TEST(StoreFaults, ACopyReadFromThePageCacheIsMadeDurableBeforeItsOriginalGoes) {
  const std::unique_ptr<FaultyDisk> disk = DiskWithACopyThatIsNotOnIt();
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    co_return co_await CommitOne(store, 2, outcome);
  };
  RunTask(WithStore(*disk, life));
  EXPECT_FALSE(disk->files_.contains("log/000000000001.seg")) << "dead, and removed";
  const Found found = Recover(*disk->AfterPowerCut([] { return false; }));
  ASSERT_TRUE(found.messages.contains(1));
  EXPECT_EQ(found.contents.at(1), ContentOf(1));
}

TEST(StoreFaults, NothingOlderGoesWhileACopyCannotBeMadeDurable) {
  const std::unique_ptr<FaultyDisk> disk = DiskWithACopyThatIsNotOnIt();
  disk->BreakFile("log/000000000002.seg", kEio);
  Outcome outcome;
  std::unique_ptr<FaultyDisk> before;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await CommitOne(store, 2, outcome));
    EXPECT_EQ(store.SegmentToEmpty(), 2u);
    EXPECT_TRUE(disk->files_.contains("log/000000000001.seg"));
    before = disk->AfterPowerCut([] { return false; });
    const auto copied = co_await store.Commit(1, BodyOf(1), ContentOf(1), Store::Why::kCopy);
    CO_RETURN_IF_ERROR(copied.status());
    store.Forget({.segment = 2, .offset = 64, .octets = copied->octets});
    EXPECT_EQ(store.SegmentToEmpty(), 0u);
    co_return co_await CommitOne(store, 3, outcome);
  };
  RunTask(WithStore(*disk, life));
  EXPECT_TRUE(Recover(*before).messages.contains(1));
  EXPECT_FALSE(disk->files_.contains("log/000000000001.seg"));
  EXPECT_FALSE(disk->files_.contains("log/000000000002.seg"));
  EXPECT_EQ(Recover(*disk->AfterPowerCut([] { return false; })).messages.size(), 3u);
}

TEST(StoreFaults, AFullDiskStillTakesWhatBecameOfOldMailThoughNewMailComesWithIt) {
  FaultyDisk disk;
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    for (uint64_t id = 1; id <= 40; ++id)
      CO_RETURN_IF_ERROR(co_await CommitOne(store, id, outcome));
    disk.SetFree(kSmall.reserve_octets);
    // In one batch too large for what is left of the segment.
    io::TaskScope group;
    store.Append(RecordType::kRemove, 1, EmptyRecord{});
    for (uint64_t id = 100; id < 140; ++id) group.Spawn(CommitOne(store, id, outcome));
    store.Append(RecordType::kHold, 2, HoldRecord{.reason = "because"});
    co_await group.Join();
    co_return co_await store.Flush();
  };
  RunTask(WithStore(disk, life));
  EXPECT_EQ(outcome.refused.size(), 40u);
  EXPECT_TRUE(absl::IsResourceExhausted(outcome.why)) << outcome.why;
  const Found found = Recover(*disk.AfterPowerCut(0));
  EXPECT_EQ(found.messages.size(), 39u);
  EXPECT_FALSE(found.messages.contains(1));
  EXPECT_EQ(found.messages.at(2).record.hold_reason, "because");
  EXPECT_EQ(found.report.records, 42u) << "what was never written is not taken back";
}

TEST(StoreFaults, AMessageLargerThanARecordMayBeCostsNobodyElseAnything) {
  FaultyDisk disk;
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    std::string body(size_t{kMaxBodyOctets} + 1, 'x');
    const auto where = co_await store.Commit(1, std::move(body), "", Store::Why::kNewMail);
    EXPECT_TRUE(absl::IsInvalidArgument(where.status())) << where.status();
    co_return co_await CommitOne(store, 2, outcome);
  };
  RunTask(WithStore(disk, life));
  EXPECT_EQ(outcome.acknowledged.size(), 1u);
}

TEST(StoreFaults, StoppingWaitsForWhatIsThereAndGoesOnInAFreshSegment) {
  FaultyDisk disk;
  Outcome outcome;
  const auto life = [&](Store& store) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await CommitOne(store, 1, outcome));
    store.Append(RecordType::kRemove, 1, EmptyRecord{});  // nobody waits for it
    disk.FailAt(1, Fault::kError, kEio);
    co_return absl::OkStatus();
  };
  RunTask(WithStore(disk, life));
  EXPECT_TRUE(Recover(*disk.AfterPowerCut(0)).messages.empty());
}

TEST(StoreFaults, WhenStoppedOnADeadDiskThoseWhoWaitAreTold) {
  FaultyDisk disk;
  Outcome outcome;
  absl::Status ended;
  const auto life = [&]() -> io::Task<absl::Status> {
    Store store(disk, kSmall);
    CO_RETURN_IF_ERROR((co_await store.Open([](RecoveredMessage&&) {})).status());
    io::TaskScope writer;
    io::TaskScope group;
    disk.FailFromNowOn(kEio);
    writer.Spawn(RunInto(store, ended));
    group.Spawn(CommitOne(store, 1, outcome));
    store.Append(RecordType::kRemove, 9, EmptyRecord{});
    writer.RequestStop();
    co_await writer.Join();
    co_await group.Join();
    EXPECT_FALSE(ended.ok());
    EXPECT_TRUE(absl::IsUnavailable(co_await store.Flush()));
    co_return co_await CommitOne(store, 2, outcome);
  };
  RunTask(life());
  EXPECT_EQ(outcome.refused, (std::set<uint64_t>{1, 2}));
  EXPECT_TRUE(absl::IsUnavailable(outcome.why)) << outcome.why;
}

}  // namespace
}  // namespace postern::qmgr
