#include "tests/daemons/qmgr/rig.h"

namespace postern::qmgr {
namespace {

constexpr Actor kOperator{.by = "operator", .uid = 4711};

TEST(Operator, EveryChangeIsLoggedOnceWithWhoAskedAndWhy) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    const log::ScopedCapture log;
    EXPECT_TRUE(rig.queue.Hold(1, "a look at it", kOperator));
    EXPECT_FALSE(rig.queue.Hold(1, "again", kOperator));
    EXPECT_FALSE(rig.queue.Requeue(1, "", kOperator)) << "it is held";
    EXPECT_TRUE(rig.queue.Release(1, "seen", kOperator));
    EXPECT_FALSE(rig.queue.Release(1, "", kOperator));
    rig.Finish(*rig.Next(), Outcome::kDeferred);
    EXPECT_TRUE(rig.queue.Requeue(1, "now", kOperator));
    EXPECT_EQ(rig.queue.Flush("example.net", kOperator), 1u);
    EXPECT_EQ(rig.queue.Flush("", kOperator), 1u);
    EXPECT_TRUE(rig.queue.Delete(1, "spam", kOperator));
    EXPECT_FALSE(rig.queue.Delete(1, "spam", kOperator));
    for (const char* line : {
             "message.held id=0000000000001 by=operator uid=4711 reason=\"a look at it\"",
             "message.released id=0000000000001 by=operator uid=4711 reason=seen",
             "message.requeued id=0000000000001 by=operator uid=4711 reason=now",
             "queue.flushed next_hop=example.net count=1 by=operator uid=4711",
             "queue.flushed count=1 by=operator uid=4711",
             "message.deleted id=0000000000001 by=operator uid=4711 reason=spam",
         })
      EXPECT_EQ(log.Count(line), 1u) << line;
    EXPECT_EQ(log.lines().size(), 6u);
    co_return co_await rig.Stop();
  });
}

TEST(Operator, AHeldMessageStaysHeldWhateverItsJobsBringAndAfterARestart) {
  test::FakeLoop clock;
  Rig rig(clock);
  RunRig(rig, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@x.example", "b@y.example"}));
    const Job job = *rig.Next();
    EXPECT_TRUE(rig.queue.Hold(1, "wait", kOperator));
    rig.Finish(job, Outcome::kDeferred);
    co_await rig.Wait(absl::Hours(1));
    EXPECT_FALSE(rig.Next().has_value());
    co_return co_await rig.Stop();
  });
  test::FakeLoop later;
  Rig after(later, rig.disk->AfterPowerCut(0));
  RunRig(after, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    EXPECT_FALSE(rig.Next().has_value());
    EXPECT_EQ(rig.queue.scheduler().Counts().held, 1u);
    EXPECT_EQ(*rig.queue.Find(1)->hold_reason, "wait");
    EXPECT_TRUE(rig.queue.Release(1, "", kOperator));
    EXPECT_TRUE(rig.Next().has_value());
    EXPECT_TRUE(rig.Next().has_value());
    co_return co_await rig.Stop();
  });
}

// Who releases it while a worker has it must not send it twice.
TEST(Operator, HoldAndReleaseDoNotGiveOutWhatAWorkerHas) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    const Job job = *rig.Next();
    EXPECT_TRUE(rig.queue.Hold(1, "", kOperator));
    EXPECT_TRUE(rig.queue.Release(1, "", kOperator));
    co_await rig.Wait(absl::Seconds(1));
    EXPECT_FALSE(rig.Next().has_value());
    rig.Finish(job, Outcome::kDelivered);
    EXPECT_FALSE(rig.queue.Knows(1));
    co_return co_await rig.Stop();
  });
}

TEST(Operator, APolicyCanHoldWhatArrives) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    CO_RETURN_IF_ERROR(co_await rig.Start());
    MessageRecord record = RecordTo({"a@example.net"});
    record.hold_reason = "looks odd";
    CO_RETURN_IF_ERROR(co_await rig.Accept(1, record));
    EXPECT_FALSE(rig.Next().has_value());
    EXPECT_EQ(log.Count("message.held id=0000000000001 by=policy reason=\"looks odd\""), 1u);
    EXPECT_TRUE(rig.queue.Release(1, "", kOperator));
    EXPECT_TRUE(rig.Next().has_value());
    co_return co_await rig.Stop();
  });
}

TEST(Operator, DeletedMeansGoneAfterAPowerCutToo) {
  test::FakeLoop clock;
  Rig rig(clock);
  RunRig(rig, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(2, {"a@example.net"}));
    EXPECT_TRUE(rig.queue.Delete(1, "", kOperator));
    co_return co_await rig.Stop();
  });
  test::FakeLoop later;
  Rig after(later, rig.disk->AfterPowerCut(0));
  RunRig(after, [](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    EXPECT_FALSE(rig.queue.Knows(1));
    EXPECT_TRUE(rig.queue.Knows(2));
    co_return co_await rig.Stop();
  });
}

TEST(Operator, CountsAreMessagesNotUnits) {
  RunRig([](Rig& rig) -> io::Task<absl::Status> {
    CO_RETURN_IF_ERROR(co_await rig.Start());
    std::vector<std::string> many;
    for (int i = 0; i < 350; ++i) many.push_back("u" + std::to_string(i) + "@big.example");
    many.push_back("v@other.example");
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, many));
    CO_RETURN_IF_ERROR(co_await rig.AcceptTo(2, {"w@big.example"}));
    for (auto job = rig.Next(); job.has_value(); job = rig.Next())
      rig.Finish(*job, Outcome::kDeferred);
    EXPECT_EQ(rig.queue.scheduler().Counts().deferred, 2u);
    EXPECT_GT(rig.queue.scheduler().Counts().waiting, 2u);
    EXPECT_EQ(rig.queue.Flush("big.example", kOperator), 2u);
    EXPECT_EQ(rig.queue.scheduler().Counts().deferred, 0u);
    co_return co_await rig.Stop();
  });
}

}  // namespace
}  // namespace postern::qmgr
