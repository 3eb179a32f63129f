#include "daemons/locald/pool.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <memory>
#include <vector>

#include "common/base/check.h"
#include "common/io/loop.h"
#include "common/ipc/channel.h"
#include "tests/testing/frame_size.h"
#include "tests/testing/run_in_loop.h"

namespace postern::locald {
namespace {

namespace mailbox = protocol::mailbox;
using protocol::delivery::Outcome;

// A `deliver` that answers when the test says so.
class FakeProcess final : public ipc::FrameHandler {
 public:
  FakeProcess(io::Loop& loop, UniqueFd end, std::string user, bool answers_at_once)
      : channel_(std::make_unique<ipc::Channel>(loop, std::move(end), protocol::kLocaldDeliver,
                                                ipc::Side::kB)),
        user_(std::move(user)),
        answers_at_once_(answers_at_once) {}

  // Until the pool closes its end, or Die.
  io::Task<absl::Status> Run() {
    const absl::Status ended = co_await channel_->Run(*this);
    co_await io::YieldTurn();
    channel_.reset();
    gone = true;
    came.Wake();
    co_return ended;
  }
  void Die() { channel_->Close(); }

  absl::Status OnFrame(ipc::Frame& frame) override {
    ASSIGN_OR_RETURN(const auto order, ipc::DecodeFrame<mailbox::Deliver>(frame));
    recipients.push_back(order.recipient);
    open_.push_back(frame.id);
    most_open = std::max(most_open, open_.size());
    if (answers_at_once_) AnswerAll();
    came.Wake();
    return absl::OkStatus();
  }
  void AnswerAll() {
    for (const uint32_t id : std::exchange(open_, {})) {
      const mailbox::Delivered done{
          .outcome = Outcome::kDelivered, .status = "2.0.0", .diagnostic = user_};
      EXPECT_TRUE(channel_->Send(id, done).ok());
    }
  }
  size_t open() const { return open_.size(); }

  std::vector<std::string> recipients;
  bool gone = false;
  size_t most_open = 0;
  io::Event came;

 private:
  std::unique_ptr<ipc::Channel> channel_;
  const std::string user_;
  const bool answers_at_once_;
  std::vector<uint32_t> open_;
};

class FakeMaster final : public Starter {
 public:
  FakeMaster(io::Loop& loop, io::TaskScope& scope) : loop_(loop), scope_(scope) {}

  io::Task<absl::StatusOr<UniqueFd>> Start(const std::string& user, io::Deadline until) override {
    started.push_back(user);
    co_await io::YieldTurn();
    if (user == "refused") co_return Unavailable("no such account");
    if (user == "slow") CO_RETURN_IF_ERROR(co_await never_.Wait(until));
    int fds[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    auto process = std::make_unique<FakeProcess>(loop_, UniqueFd(fds[1]), user, answers_at_once);
    scope_.Spawn(process->Run());
    processes.push_back(std::move(process));
    changed.Wake();
    co_return UniqueFd(fds[0]);
  }
  size_t max_processes() const override { return limit; }

  size_t limit = 20;
  bool answers_at_once = true;
  std::vector<std::string> started;
  std::vector<std::unique_ptr<FakeProcess>> processes;
  io::Event changed;

 private:
  io::Loop& loop_;
  io::TaskScope& scope_;
  io::Event never_;
};

mailbox::Deliver Order(std::string_view recipient, std::string_view content = {}) {
  mailbox::Deliver order;
  order.recipient = recipient;
  order.inline_content = content;
  return order;
}

io::Task<void> One(Pool& pool, std::string user, mailbox::Deliver order, io::Deadline until,
                   mailbox::Delivered& answer) {
  answer = co_await pool.Deliver(user, order, UniqueFd(), until);
}

class PoolTest : public test::OnBothBackends {
 protected:
  // Runs `body(pool, master)` and puts everything away again.
  template <class Body>
  void With(Body body) {
    Run(Frame(body));
  }
  template <class Body>
  io::Task<absl::Status> Frame(Body& body) {
    io::TaskScope scope;
    FakeMaster master(*loop, scope);
    Pool pool(*loop, master);
    const absl::Status ended = co_await body(*this, pool, master);
    co_await pool.Close();
    co_await scope.Join();  // the pool's ends are gone
    co_return ended;
  }

 public:
  io::Deadline Soon() const { return loop->After(absl::Seconds(20)); }
  io::Deadline InMilliseconds(int ms) const { return loop->After(absl::Milliseconds(ms)); }
  io::Deadline Past() const { return loop->After(-absl::Milliseconds(1)); }
};
ON_BOTH_BACKENDS(PoolTest);

TEST_P(PoolTest, OneProcessServesAllMessagesOfAnAccount) {
  With([](PoolTest& t, Pool& pool, FakeMaster& master) -> io::Task<absl::Status> {
    std::vector<mailbox::Delivered> answers(10);
    io::TaskScope scope;
    for (size_t i = 0; i < answers.size(); ++i)
      scope.Spawn(One(pool, i % 2 == 0 ? "alice" : "bob", Order("x"), t.Soon(), answers[i]));
    co_await scope.Join();
    EXPECT_THAT(master.started, testing::UnorderedElementsAre("alice", "bob"));
    for (size_t i = 0; i < answers.size(); ++i) {
      EXPECT_EQ(answers[i].outcome, Outcome::kDelivered) << answers[i].diagnostic;
      EXPECT_EQ(answers[i].diagnostic, i % 2 == 0 ? "alice" : "bob");
    }
    EXPECT_EQ(pool.processes(), 2u);
    co_return absl::OkStatus();
  });
}

TEST_P(PoolTest, NoMoreMessagesAreUnderWayThanTheEdgeAllows) {
  With([](PoolTest& t, Pool& pool, FakeMaster& master) -> io::Task<absl::Status> {
    std::vector<mailbox::Delivered> answers(600);
    io::TaskScope scope;
    for (mailbox::Delivered& answer : answers)
      scope.Spawn(One(pool, "alice", Order("x"), t.Soon(), answer));
    co_await scope.Join();
    for (const mailbox::Delivered& answer : answers)
      EXPECT_EQ(answer.outcome, Outcome::kDelivered) << answer.diagnostic;
    EXPECT_EQ(master.processes.at(0)->recipients.size(), 600u);
    co_return absl::OkStatus();
  });
}

TEST_P(PoolTest, ContentUnderWayIsBounded) {
  With([](PoolTest& t, Pool& pool, FakeMaster& master) -> io::Task<absl::Status> {
    master.answers_at_once = false;
    const std::string content(1u << 20, 'x');
    std::vector<mailbox::Delivered> answers(20);
    io::TaskScope scope;
    for (mailbox::Delivered& answer : answers)
      scope.Spawn(One(pool, "alice", Order("x", content), t.Soon(), answer));
    while (master.processes.empty()) CO_RETURN_IF_ERROR(co_await master.changed.Wait(t.Soon()));
    FakeProcess& process = *master.processes.front();
    const size_t fit = Pool::kMaxOctetsUnderWay / content.size();
    absl::Status waited;
    for (size_t done = 0; done < answers.size() && waited.ok();) {
      const size_t expected = std::min(fit, answers.size() - done);
      while (process.open() < expected && waited.ok())
        waited = co_await process.came.Wait(t.Soon());
      done += process.open();
      process.AnswerAll();
    }
    co_await scope.Join();
    EXPECT_EQ(process.most_open, fit);
    for (const mailbox::Delivered& answer : answers)
      EXPECT_EQ(answer.outcome, Outcome::kDelivered) << answer.diagnostic;
    co_return waited;
  });
}

TEST_P(PoolTest, TroubleIsDeferredAndNeverFails) {
  With([](PoolTest& t, Pool& pool, FakeMaster& master) -> io::Task<absl::Status> {
    mailbox::Delivered answer = co_await pool.Deliver("refused", Order("x"), UniqueFd(), t.Soon());
    EXPECT_EQ(answer.outcome, Outcome::kDeferred);
    EXPECT_EQ(answer.status, "4.3.0");
    EXPECT_THAT(answer.diagnostic, testing::HasSubstr("no such account"));

    const io::Deadline over = t.Past();
    answer = co_await pool.Deliver("slow", Order("x"), UniqueFd(), over);
    EXPECT_EQ(answer.outcome, Outcome::kDeferred);
    EXPECT_EQ(answer.status, "4.4.7") << "no process in time";

    master.answers_at_once = false;
    answer = co_await pool.Deliver("alice", Order("x"), UniqueFd(), t.InMilliseconds(20));
    EXPECT_EQ(answer.outcome, Outcome::kDeferred);
    EXPECT_EQ(answer.status, "4.4.7") << "no answer in time";
    EXPECT_THAT(answer.diagnostic, testing::HasSubstr("local.timeout"));
    co_return absl::OkStatus();
  });
}

TEST_P(PoolTest, AProcessThatDiesDefersWhatItHadAndIsReplaced) {
  With([](PoolTest& t, Pool& pool, FakeMaster& master) -> io::Task<absl::Status> {
    master.answers_at_once = false;
    std::vector<mailbox::Delivered> answers(3);
    io::TaskScope scope;
    for (mailbox::Delivered& answer : answers)
      scope.Spawn(One(pool, "alice", Order("x"), t.Soon(), answer));
    while (master.processes.empty()) CO_RETURN_IF_ERROR(co_await master.changed.Wait(t.Soon()));
    FakeProcess& process = *master.processes.front();
    while (process.open() < answers.size())
      CO_RETURN_IF_ERROR(co_await process.came.Wait(t.Soon()));
    process.Die();
    co_await scope.Join();
    for (const mailbox::Delivered& answer : answers) {
      EXPECT_EQ(answer.outcome, Outcome::kDeferred);
      EXPECT_EQ(answer.status, "4.3.0");
      EXPECT_THAT(answer.diagnostic, testing::HasSubstr("ended"));
    }
    EXPECT_EQ(pool.processes(), 0u);
    master.answers_at_once = true;
    const mailbox::Delivered again =
        co_await pool.Deliver("alice", Order("x"), UniqueFd(), t.Soon());
    EXPECT_EQ(again.outcome, Outcome::kDelivered) << again.diagnostic;
    EXPECT_EQ(master.started.size(), 2u);
    co_return absl::OkStatus();
  });
}

TEST_P(PoolTest, AtTheLimitTheLongestIdleProcessMakesRoom) {
  With([](PoolTest& t, Pool& pool, FakeMaster& master) -> io::Task<absl::Status> {
    master.limit = 2;
    for (const char* user : {"alice", "bob", "alice", "carol", "alice"}) {
      const mailbox::Delivered answer =
          co_await pool.Deliver(user, Order("x"), UniqueFd(), t.Soon());
      EXPECT_EQ(answer.outcome, Outcome::kDelivered) << answer.diagnostic;
      EXPECT_LE(pool.processes(), 2u);
    }
    EXPECT_THAT(master.started, testing::ElementsAre("alice", "bob", "carol")) << "bob made room";
    co_return absl::OkStatus();
  });
}

TEST_P(PoolTest, AtTheLimitWithAllAtWorkTheNextAccountWaits) {
  With([](PoolTest& t, Pool& pool, FakeMaster& master) -> io::Task<absl::Status> {
    master.limit = 1;
    master.answers_at_once = false;
    mailbox::Delivered first;
    mailbox::Delivered second;
    io::TaskScope scope;
    scope.Spawn(One(pool, "alice", Order("x"), t.Soon(), first));
    while (master.processes.empty()) CO_RETURN_IF_ERROR(co_await master.changed.Wait(t.Soon()));
    FakeProcess& alice = *master.processes.front();
    while (alice.open() == 0) CO_RETURN_IF_ERROR(co_await alice.came.Wait(t.Soon()));
    scope.Spawn(One(pool, "bob", Order("x"), t.Soon(), second));
    for (int turn = 0; turn < 5; ++turn) co_await io::YieldTurn();
    EXPECT_THAT(master.started, testing::ElementsAre("alice"));
    master.answers_at_once = true;
    alice.AnswerAll();
    co_await scope.Join();
    EXPECT_EQ(first.outcome, Outcome::kDelivered) << first.diagnostic;
    EXPECT_EQ(second.outcome, Outcome::kDelivered) << second.diagnostic;
    EXPECT_THAT(master.started, testing::ElementsAre("alice", "bob"));
    co_return absl::OkStatus();
  });
}

TEST_P(PoolTest, OnlyProcessesIdleForLongAreClosed) {
  With([](PoolTest& t, Pool& pool, FakeMaster& master) -> io::Task<absl::Status> {
    const io::Deadline before = t.Past();
    const mailbox::Delivered answer =
        co_await pool.Deliver("alice", Order("x"), UniqueFd(), t.Soon());
    EXPECT_EQ(answer.outcome, Outcome::kDelivered);
    pool.CloseIdleSince(before);
    EXPECT_EQ(pool.processes(), 1u);
    pool.CloseIdleSince(t.Soon());
    EXPECT_EQ(pool.processes(), 0u);
    FakeProcess& process = *master.processes.front();
    while (!process.gone) CO_RETURN_IF_ERROR(co_await process.came.Wait(t.Soon()));
    co_return absl::OkStatus();
  });
}

TEST_P(PoolTest, ARetiredProcessAnswersForWhatItHasAndGetsNothingMore) {
  With([](PoolTest& t, Pool& pool, FakeMaster& master) -> io::Task<absl::Status> {
    master.answers_at_once = false;
    mailbox::Delivered before;
    io::TaskScope scope;
    scope.Spawn(One(pool, "alice", Order("before"), t.Soon(), before));
    while (master.processes.empty()) CO_RETURN_IF_ERROR(co_await master.changed.Wait(t.Soon()));
    FakeProcess& old = *master.processes.front();
    while (old.open() == 0) CO_RETURN_IF_ERROR(co_await old.came.Wait(t.Soon()));
    pool.Retire();
    master.answers_at_once = true;
    const mailbox::Delivered after =
        co_await pool.Deliver("alice", Order("after"), UniqueFd(), t.Soon());
    EXPECT_EQ(after.outcome, Outcome::kDelivered) << after.diagnostic;
    EXPECT_FALSE(old.gone);
    old.AnswerAll();
    co_await scope.Join();
    EXPECT_EQ(before.outcome, Outcome::kDelivered) << before.diagnostic;
    while (!old.gone) CO_RETURN_IF_ERROR(co_await old.came.Wait(t.Soon()));
    EXPECT_THAT(old.recipients, testing::ElementsAre("before"));
    EXPECT_EQ(master.started.size(), 2u);
    co_return absl::OkStatus();
  });
}

TEST_P(PoolTest, AProcessRetiredWhileItStartsIsNotUsed) {
  With([](PoolTest& t, Pool& pool, FakeMaster& master) -> io::Task<absl::Status> {
    mailbox::Delivered answer;
    io::TaskScope scope;
    scope.Spawn(One(pool, "alice", Order("x"), t.Soon(), answer));
    while (master.started.empty()) co_await io::YieldTurn();
    pool.Retire();
    co_await scope.Join();
    EXPECT_EQ(answer.outcome, Outcome::kDelivered) << answer.diagnostic;
    EXPECT_EQ(master.started.size(), 2u);
    EXPECT_THAT(master.processes.at(0)->recipients, testing::IsEmpty());
    co_return absl::OkStatus();
  });
}

TEST_P(PoolTest, FrameSizes) {
  io::TaskScope scope;
  FakeMaster master(*loop, scope);
  Pool pool(*loop, master);
  EXPECT_LT(test::PrintFrameSize("locald::Pool::Deliver",
                                 pool.Deliver("alice", Order("x"), UniqueFd(), Soon())),
            io::FramePool::kLargestOctets);
}

}  // namespace
}  // namespace postern::locald
