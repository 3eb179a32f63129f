#include "daemons/qmgr/queue.h"

#include "tests/daemons/qmgr/rig.h"

namespace postern::qmgr {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// What a start finds on the disk as it is, or as a power cut leaves it.
void Restart(std::unique_ptr<FaultyDisk> disk, RigTest test) {
  test::FakeLoop clock;
  Rig rig(clock, std::move(disk));
  RunRig(rig, test);
}

TEST(Queue, WhatWasAcceptedIsThereAfterAPowerCut) {
  test::FakeLoop clock;
  Rig rig(clock);
  RunRig(rig, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(7, {"a@example.net"}));
    EXPECT_TRUE(rig.queue.Knows(7));
    co_return co_await rig.Stop();
  });
  Restart(rig.disk->AfterPowerCut(0), [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    const auto job = rig.Next();
    EXPECT_TRUE(job.has_value() && job->message_id == 7);
    co_return co_await rig.Stop();
  });
}

TEST(Queue, AFailedWriteIsNotAcceptedAndNotInTheQueue) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    rig.disk->FailAt(1, FaultyDisk::Fault::kError, absl::InternalError("EIO"));
    EXPECT_FALSE((co_await rig.AcceptTo(2, {"a@example.net"})).ok());
    EXPECT_FALSE(rig.queue.Knows(2));
    EXPECT_EQ(rig.queue.messages().size(), 1u);
    // And the next one is, in a new segment.
    EXPECT_TRUE((co_await rig.AcceptTo(3, {"a@example.net"})).ok());
    co_return co_await rig.Stop();
  });
}

TEST(Queue, AFullDiskRefusesNewMailUntilThereIsRoomAndStillRecordsResults) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    rig.disk->SetFree(0);
    std::string large(900u << 10, 'x');  // more than what is left of the segment
    MessageRecord record = RecordTo({"b@example.net"});
    record.content_octets = large.size();
    EXPECT_TRUE(absl::IsResourceExhausted(co_await rig.queue.Accept(2, record, large + large)));
    rig.Finish(*rig.Next(), Outcome::kDelivered);
    EXPECT_TRUE((co_await rig.queue.store().Flush()).ok());
    EXPECT_THAT(rig.queue.messages(), IsEmpty());
    rig.disk->SetFree(uint64_t{1} << 40);
    EXPECT_TRUE((co_await rig.queue.Accept(3, record, large + large)).ok());
    co_return co_await rig.Stop();
  });
}

io::Task<void> AcceptInto(Rig& rig, uint64_t id, absl::Status& status) {
  status = co_await rig.AcceptTo(id, {"a@example.net"});
}

TEST(Queue, AnIdIsTakenFromTheFirstOnEvenWhileThatIsBeingCommitted) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    io::TaskScope both;
    absl::Status first = absl::UnknownError("");
    absl::Status second = absl::UnknownError("");
    both.Spawn(AcceptInto(rig, 5, first));
    both.Spawn(AcceptInto(rig, 5, second));
    co_await both.Join();
    EXPECT_TRUE(first.ok()) << first;
    EXPECT_TRUE(absl::IsAlreadyExists(second)) << second;
    EXPECT_TRUE(absl::IsAlreadyExists(co_await rig.AcceptTo(5, {"b@example.net"})));
    EXPECT_THAT(rig.queue.messages(), SizeIs(1));
    co_return co_await rig.Stop();
  });
}

TEST(Queue, ADeliveredMessageLeavesTheQueueForGood) {
  test::FakeLoop clock;
  Rig rig(clock);
  RunRig(rig, [](Rig& rig) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    rig.Finish(*rig.Next(), Outcome::kRelayed);
    EXPECT_THAT(rig.queue.messages(), IsEmpty());
    EXPECT_EQ(log.Count("message.queued id=0000000000001"), 1u);
    EXPECT_EQ(log.Count("message.removed id=0000000000001"), 1u);
    co_return co_await rig.Stop();
  });
  EXPECT_THAT(rig.notices, IsEmpty());
  Restart(rig.disk->AfterPowerCut(0), [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    EXPECT_THAT(rig.queue.messages(), IsEmpty());
    co_return co_await rig.Stop();
  });
}

TEST(Queue, OnlyRecipientsThatWereDeferredAreTriedAgain) {
  test::FakeLoop clock;
  Rig rig(clock);
  RunRig(rig, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(
        co_await rig.AcceptTo(1, {"a@example.net", "b@example.net", "c@example.net"}));
    const Job job = *rig.Next();
    EXPECT_THAT(job.recipients, ElementsAre(0, 1, 2));
    // Of the third it says nothing.
    const log::ScopedCapture log;
    rig.queue.Finish(
        job, {Rig::ResultFor(0, Outcome::kDelivered), Rig::ResultFor(1, Outcome::kDeferred)},
        Verdict::kHealthy, "");
    EXPECT_EQ(log.Count("message.deferred id=0000000000001 recipients=1 status=4.3.0"), 1u);
    EXPECT_FALSE(rig.Next().has_value());
    EXPECT_EQ(rig.queue.scheduler().Counts().deferred, 1u);
    co_await rig.Wait(absl::Seconds(73));  // a minute, and the jitter
    const auto again = rig.Next();
    EXPECT_TRUE(again.has_value());
    if (again.has_value()) {
      EXPECT_THAT(again->recipients, ElementsAre(1, 2));
      EXPECT_EQ(again->attempts, 1u);
    }
    co_return co_await rig.Stop();
  });
  // And so after a crash.
  Restart(rig.disk->AfterPowerCut(0), [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    EXPECT_FALSE(rig.Next().has_value()) << "its time has not come";
    co_await rig.Wait(absl::Minutes(2));
    const auto job = rig.Next();
    EXPECT_TRUE(job.has_value());
    if (job.has_value()) EXPECT_THAT(job->recipients, ElementsAre(1, 2));
    co_return co_await rig.Stop();
  });
}

TEST(Queue, AWorkerThatDiesWithAJobLosesNobodyAndThreeHoldTheMessage) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net", "b@example.net"}));
    for (int i = 0; i < 3; ++i) {
      const auto job = rig.Next();
      EXPECT_TRUE(job.has_value());
      if (!job.has_value()) co_return co_await rig.Stop();
      EXPECT_THAT(job->recipients, ElementsAre(0, 1));
      rig.queue.Lost(*job);
    }
    EXPECT_EQ(log.Count("message.requeued id=0000000000001 by=qmgr"), 2u);
    EXPECT_EQ(log.Count("message.held id=0000000000001 by=qmgr"), 1u);
    EXPECT_FALSE(rig.Next().has_value());
    EXPECT_EQ(rig.queue.scheduler().Counts().held, 1u);
    EXPECT_TRUE(rig.queue.Release(1, "", {}));
    EXPECT_TRUE(rig.Next().has_value());
    co_return co_await rig.Stop();
  });
}

TEST(Queue, AWorkerThatWasGoneBeforeIsNobodysFault) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    for (int i = 0; i < 10; ++i) rig.queue.NotBegun(*rig.Next());
    EXPECT_EQ(rig.queue.scheduler().Counts().held, 0u);
    EXPECT_EQ(rig.Next()->attempts, 0u);
    co_return co_await rig.Stop();
  });
}

TEST(Queue, AResultThatComesAfterTheMessageWasDeletedChangesNothing) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    const Job job = *rig.Next();
    EXPECT_TRUE(rig.queue.Delete(1, "", {}));
    EXPECT_FALSE(rig.queue.Knows(1));
    rig.Finish(job, Outcome::kFailed);
    rig.Finish(job, Outcome::kFailed);
    co_await rig.Wait(absl::Seconds(10));
    EXPECT_THAT(rig.notices, IsEmpty());
    co_return co_await rig.Stop();
  });
}

TEST(Queue, ManyRecipientsAtManyPlacesAllGetTheirJob) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    std::vector<std::string> recipients;
    for (int i = 0; i < 5000; ++i)
      recipients.push_back("u" + std::to_string(i) + "@d" + std::to_string(i % 1700) + ".example");
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, recipients));
    std::vector<bool> seen(recipients.size());
    size_t count = 0;
    for (auto job = rig.Next(); job.has_value(); job = rig.Next()) {
      for (const uint32_t index : job->recipients) {
        EXPECT_FALSE(seen[index]);
        EXPECT_TRUE(recipients[index].ends_with("@" + job->destination));
        seen[index] = true;
        ++count;
      }
      rig.Finish(*job, Outcome::kDelivered);
    }
    EXPECT_EQ(count, recipients.size());
    EXPECT_THAT(rig.queue.messages(), IsEmpty());
    co_return co_await rig.Stop();
  });
}

TEST(Queue, AMessageThatCannotBeReadIsHeldAndNotLost) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    std::string& bytes = rig.disk->files_.begin()->second->written;
    const size_t at = bytes.find("sender@");
    bytes[at] = 'X';
    rig.Finish(*rig.Next(), Outcome::kFailed);
    co_await rig.Wait(absl::Seconds(1));
    EXPECT_EQ(log.Count("queue.read_failed id=0000000000001"), 1u);
    EXPECT_THAT(rig.notices, IsEmpty());
    EXPECT_EQ(rig.queue.scheduler().Counts().held, 1u);
    // Mended: the recipient, whom the scheduler has forgotten, is tried again.
    bytes[at] = 's';
    EXPECT_TRUE(rig.queue.Release(1, "", {}));
    co_await rig.Wait(absl::Seconds(1));
    const auto job = rig.Next();
    EXPECT_TRUE(job.has_value());
    if (job.has_value()) rig.Finish(*job, Outcome::kDelivered);
    EXPECT_THAT(rig.queue.messages(), IsEmpty());
    co_return co_await rig.Stop();
  });
}

TEST(Queue, ANearlyDeadSegmentIsCopiedForwardWithAllThatIsKnown) {
  test::FakeLoop clock;
  Rig rig(clock);
  RunRig(rig, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    io::TaskScope upkeep;
    upkeep.Spawn(rig.queue.Upkeep());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net", "b@example.net"}));
    rig.queue.Finish(
        *rig.Next(),
        {Rig::ResultFor(0, Outcome::kDelivered), Rig::ResultFor(1, Outcome::kDeferred)},
        Verdict::kHealthy, "");
    rig.queue.Hold(1, "to be looked at", {});
    const std::string filler(200u << 10, 'x');
    for (uint64_t id = 2; id < 60; ++id) {
      MessageRecord record = RecordTo({"z@example.net"});
      CO_RETURN_IF_ERROR(co_await rig.queue.Accept(id, std::move(record), filler));
      if (const auto job = rig.Next(); job.has_value()) rig.Finish(*job, Outcome::kDelivered);
    }
    co_await rig.Wait(absl::Seconds(20));
    EXPECT_GT(rig.queue.Find(1)->where.segment, 1u);
    const auto attempt = co_await rig.queue.store().LoadAttempt(1, rig.queue.Find(1)->last_attempt);
    EXPECT_TRUE(attempt.ok() && attempt->recipients.size() == 2);
    upkeep.RequestStop();
    co_await upkeep.Join();
    co_return co_await rig.Stop();
  });
  Restart(rig.disk->AfterPowerCut(0), [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    QueuedMessage* message = rig.queue.Find(1);
    EXPECT_NE(message, nullptr);
    if (message == nullptr) co_return co_await rig.Stop();
    EXPECT_TRUE(message->held());
    EXPECT_EQ(*message->hold_reason, "to be looked at");
    EXPECT_EQ(message->left, 1u);
    EXPECT_EQ(message->attempts, 1u);
    co_return co_await rig.Stop();
  });
}

}  // namespace
}  // namespace postern::qmgr
