#include "daemons/resolvd/lookups.h"

#include <gtest/gtest.h>

#include "common/io/event.h"
#include "tests/common/dns/builder.h"
#include "tests/daemons/resolvd/on_loop.h"

namespace postern::resolvd {
namespace {

using dns::Answer;
using dns::Status;
using dns::Type;
using dns::test::N;

// Answers all questions when told to.
class HeldResolver final : public Resolver {
 public:
  io::Task<Answer> Lookup(const dns::Name& name, Type, io::Deadline until) override {
    ++asked;
    const absl::Status waited = co_await release.Wait(until);
    if (!waited.ok()) co_return dns::Failure(name, waited.ToString());
    Answer answer;
    answer.status = Status::kFound;
    answer.canonical_name = name;
    co_return answer;
  }
  int asked = 0;
  io::Event release;
};

io::Task<absl::Status> AskInto(Lookups& lookups, std::string name, Type type, io::Deadline until,
                               Answer& answer) {
  const dns::Name parsed = N(name);
  answer = co_await lookups.Lookup(parsed, type, until);
  co_return absl::OkStatus();
}

class LookupsTest : public test::OnLoop {};
INSTANTIATE_TEST_SUITE_P(Io, LookupsTest, test::Backends(), test::BackendName);

TEST_P(LookupsTest, AskersOfOneQuestionShareItsLookUp) {
  HeldResolver held;
  Lookups lookups(*loop_, held, absl::Seconds(20));
  Answer answers[4];
  const auto body = [](HeldResolver& resolver, Lookups& all, Answer* got,
                       io::Deadline until) -> io::Task<absl::Status> {
    io::TaskScope askers;
    askers.Spawn(AskInto(all, "a.example", Type::kA, until, got[0]));
    askers.Spawn(AskInto(all, "A.Example", Type::kA, until, got[1]));
    askers.Spawn(AskInto(all, "a.example", Type::kMx, until, got[2]));
    askers.Spawn(AskInto(all, "b.example", Type::kA, until, got[3]));
    while (resolver.asked < 3) co_await io::YieldTurn();
    EXPECT_EQ(all.outstanding(), 3u);
    resolver.release.Set();
    co_await askers.Join();
    co_await all.Stop();
    co_return absl::OkStatus();
  };
  Run(body(held, lookups, answers, Soon()));
  for (const Answer& answer : answers) EXPECT_EQ(answer.status, Status::kFound);
  EXPECT_EQ(held.asked, 3);
  EXPECT_EQ(lookups.shared(), 1u);
  EXPECT_EQ(lookups.outstanding(), 0u);
}

TEST_P(LookupsTest, QuestionsBeyondTheLimitAreRefusedAndSharedOnesAreNot) {
  HeldResolver held;
  Lookups lookups(*loop_, held, absl::Seconds(20), /*max_outstanding=*/2);
  Answer answers[4];
  const auto body = [](HeldResolver& resolver, Lookups& all, Answer* got,
                       io::Deadline until) -> io::Task<absl::Status> {
    io::TaskScope askers;
    askers.Spawn(AskInto(all, "a", Type::kA, until, got[0]));
    askers.Spawn(AskInto(all, "b", Type::kA, until, got[1]));
    while (resolver.asked < 2) co_await io::YieldTurn();
    EXPECT_TRUE((co_await AskInto(all, "c", Type::kA, until, got[2])).ok());
    askers.Spawn(AskInto(all, "a", Type::kA, until, got[3]));
    while (all.shared() < 1) co_await io::YieldTurn();
    resolver.release.Set();
    co_await askers.Join();
    co_await all.Stop();
    co_return absl::OkStatus();
  };
  Run(body(held, lookups, answers, Soon()));
  EXPECT_EQ(answers[2].status, Status::kTemporaryFailure);
  EXPECT_EQ(answers[2].reason, "too many questions are under way");
  for (const int i : {0, 1, 3}) EXPECT_EQ(answers[i].status, Status::kFound);
  EXPECT_EQ(lookups.refused(), 1u);
}

TEST_P(LookupsTest, AnAskerThatGivesUpDoesNotEndTheLookUp) {
  HeldResolver held;
  Lookups lookups(*loop_, held, absl::Seconds(20));
  Answer hasty, patient;
  const auto body = [](HeldResolver& resolver, Lookups& all, io::Deadline soon, io::Deadline later,
                       Answer& first, Answer& second) -> io::Task<absl::Status> {
    EXPECT_TRUE((co_await AskInto(all, "a", Type::kA, soon, first)).ok());
    EXPECT_EQ(all.outstanding(), 1u);
    io::TaskScope askers;
    askers.Spawn(AskInto(all, "a", Type::kA, later, second));
    while (all.shared() < 1) co_await io::YieldTurn();
    resolver.release.Set();
    co_await askers.Join();
    co_await all.Stop();
    co_return absl::OkStatus();
  };
  Run(body(held, lookups, loop_->After(absl::Milliseconds(5)), Soon(), hasty, patient));
  EXPECT_EQ(hasty.reason, "no answer in time");
  EXPECT_EQ(patient.status, Status::kFound);
  EXPECT_EQ(held.asked, 1);
}

TEST_P(LookupsTest, StoppingEndsWhatIsUnderWay) {
  HeldResolver held;
  Lookups lookups(*loop_, held, absl::InfiniteDuration());
  Answer answer;
  const auto body = [](HeldResolver& resolver, Lookups& all, io::Deadline until,
                       Answer& got) -> io::Task<absl::Status> {
    io::TaskScope askers;
    askers.Spawn(AskInto(all, "a", Type::kA, until, got));
    while (resolver.asked < 1) co_await io::YieldTurn();
    co_await all.Stop();
    co_await askers.Join();
    co_return absl::OkStatus();
  };
  Run(body(held, lookups, Soon(), answer));
  EXPECT_EQ(answer.status, Status::kTemporaryFailure);
  EXPECT_EQ(lookups.outstanding(), 0u);
}

}  // namespace
}  // namespace postern::resolvd
