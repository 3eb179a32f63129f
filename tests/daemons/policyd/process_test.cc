// The daemon itself, confined as ever: this test is master and the smtpds of a policyd.
#include <memory>
#include <string>
#include <vector>

#include "common/ipc/protocol/smtpd_policyd.h"
#include "tests/daemons/started_daemon.h"
#include "tests/testing/run_in_loop.h"

namespace postern::policyd {
namespace {

namespace control = protocol::control;
namespace policy = protocol::policy;
using policy::Decision;

constexpr std::string_view kToml =
    "[smtp]\nmax_connections_per_client = 2\n[relay]\nnetworks = [\"192.0.2.0/24\"]\n"
    "[local]\nusers = [\"alice\"]\n";

// Verdicts to questions that nobody waits for, in the order in which they come.
struct Verdicts final : ipc::FrameHandler {
  absl::Status OnFrame(ipc::Frame& frame) override {
    ASSIGN_OR_RETURN(auto verdict, ipc::DecodeFrame<policy::Verdict>(frame));
    ids.push_back(frame.id);
    reasons.push_back(std::move(verdict.reason));
    changed.Wake();
    return absl::OkStatus();
  }
  std::vector<uint32_t> ids;
  std::vector<std::string> reasons;
  io::Event changed;
};

class PolicydProcess : public test::OnBothBackends {
 protected:
  void SetUp() override {
    test::OnBothBackends::SetUp();
    if (IsSkipped()) return;
    if (test::kSanitized) GTEST_SKIP() << "built with a sanitizer";
  }
  io::Deadline Soon() const { return loop->After(absl::Seconds(20)); }

  control::Configure Configure(std::string_view toml = kToml) const {
    control::Configure configure = test::ConfigureFor(control::Role::kPolicyd, GetParam(), toml);
    configure.configuration.accounts.push_back(
        {.name = "alice", .uid = 1000, .gid = 1000, .home = "/", .mailbox = "/mail"});
    return configure;
  }

  // One smtpd at its edge, until the edge is closed.
  struct Smtpd {
    Smtpd(io::Loop& loop, io::TaskScope& scope, test::StartedDaemon& policyd, uint32_t index)
        : channel(loop,
                  policyd.AddEdge({.kind = control::EdgeKind::kSmtpdPolicyd,
                                   .peer_index = index,
                                   .peer_origin = static_cast<uint8_t>(index)}),
                  protocol::kSmtpdPolicyd, ipc::Side::kA) {
      scope.Spawn(channel.Run(verdicts));
    }
    Verdicts verdicts;
    ipc::Channel channel;
  };

  // Whether that client may connect (once more).
  io::Task<absl::StatusOr<policy::Verdict>> Connect(Smtpd& smtpd, const char* client) const {
    const policy::ConnectQuestion question{.client = protocol::Ip::From(*IpAddress::Parse(client))};
    co_return co_await smtpd.channel.Call<policy::Verdict>(question, Soon());
  }
  // "ok", or code and enhanced code.
  io::Task<std::string> Connected(Smtpd& smtpd, const char* client) const {
    const absl::StatusOr<policy::Verdict> verdict = co_await Connect(smtpd, client);
    if (!verdict.ok()) co_return std::string(Message(verdict.status()));
    if (verdict->decision == Decision::kAccept) co_return "ok";
    co_return StrCat(verdict->reply.code, " ", verdict->reply.enhanced);
  }
  static void Disconnect(Smtpd& smtpd, const char* client) {
    const policy::Disconnected gone{.client = protocol::Ip::From(*IpAddress::Parse(client))};
    IgnoreStatus(smtpd.channel.Send(smtpd.channel.NewId(), gone), "the next question tells");
  }

  io::Task<absl::Status> End(test::StartedDaemon& policyd, io::TaskScope& scope) const {
    policyd.RequestStop();
    co_await scope.Join();
    EXPECT_EQ(policyd.WaitForEnd(), 0);
    co_return absl::OkStatus();
  }

  io::Task<absl::Status> CountConnections();
  io::Task<absl::Status> ForgetADeadSmtpd();
  io::Task<absl::Status> AnswerInOrder();
  io::Task<absl::Status> TakeNewRules();
};
ON_BOTH_BACKENDS(PolicydProcess);

constexpr char kTooMany[] = "421 4.7.0";

io::Task<absl::Status> PolicydProcess::CountConnections() {
  io::TaskScope scope;
  test::StartedDaemon policyd(*loop, scope, POSTERN_POLICYD, Configure());
  Smtpd first(*loop, scope, policyd, 0);
  Smtpd second(*loop, scope, policyd, 1);
  absl::Status ready = co_await policyd.Begin(Soon());
  EXPECT_TRUE(ready.ok()) << ready;
  // The limit is two, whichever smtpd they come by.
  EXPECT_EQ(co_await Connected(first, "198.51.100.1"), "ok");
  EXPECT_EQ(co_await Connected(second, "198.51.100.1"), "ok");
  EXPECT_EQ(co_await Connected(first, "198.51.100.1"), kTooMany);
  EXPECT_EQ(co_await Connected(second, "198.51.100.1"), kTooMany);
  EXPECT_EQ(co_await Connected(first, "198.51.100.2"), "ok") << "another client";
  EXPECT_EQ(co_await Connected(first, "192.0.2.1"), "ok");
  EXPECT_EQ(co_await Connected(first, "192.0.2.1"), "ok");
  EXPECT_EQ(co_await Connected(first, "192.0.2.1"), kTooMany) << "relay networks count as well";
  // One that ended makes room for one.
  Disconnect(first, "198.51.100.1");
  EXPECT_EQ(co_await Connected(first, "198.51.100.1"), "ok");
  EXPECT_EQ(co_await Connected(first, "198.51.100.1"), kTooMany);
  // An smtpd cannot free what it does not have.
  Disconnect(second, "192.0.2.1");
  Disconnect(second, "203.0.113.9");
  EXPECT_EQ(co_await Connected(second, "192.0.2.1"), kTooMany);
  // IPv6 is counted by /64.
  EXPECT_EQ(co_await Connected(first, "2001:db8:0:1::1"), "ok");
  EXPECT_EQ(co_await Connected(first, "2001:db8:0:1:ffff::2"), "ok");
  EXPECT_EQ(co_await Connected(first, "2001:db8:0:1:2::3"), kTooMany);
  EXPECT_EQ(co_await Connected(first, "2001:db8:0:2::1"), "ok") << "the next /64";
  Disconnect(first, "2001:db8:0:1::1");
  EXPECT_EQ(co_await Connected(first, "2001:db8:0:1:2::3"), "ok");
  co_return co_await End(policyd, scope);
}

TEST_P(PolicydProcess, ConnectionsAreCountedByClientOverAllSmtpds) { Run(CountConnections()); }

io::Task<absl::Status> PolicydProcess::ForgetADeadSmtpd() {
  io::TaskScope scope;
  test::StartedDaemon policyd(*loop, scope, POSTERN_POLICYD, Configure());
  Smtpd lives(*loop, scope, policyd, 0);
  io::TaskScope its;
  auto dies = std::make_unique<Smtpd>(*loop, its, policyd, 1);
  absl::Status ready = co_await policyd.Begin(Soon());
  EXPECT_TRUE(ready.ok()) << ready;
  EXPECT_EQ(co_await Connected(lives, "198.51.100.1"), "ok");
  EXPECT_EQ(co_await Connected(*dies, "198.51.100.1"), "ok");
  EXPECT_EQ(co_await Connected(lives, "198.51.100.1"), kTooMany);
  dies->channel.Close();
  co_await its.Join();
  dies.reset();
  // The end of that edge and the next question come by different sockets.
  std::string again = kTooMany;
  for (const io::Deadline until = Soon(); again == kTooMany && loop->Now() < until;)
    again = co_await Connected(lives, "198.51.100.1");
  EXPECT_EQ(again, "ok");
  EXPECT_EQ(co_await Connected(lives, "198.51.100.1"), kTooMany) << "its own are still counted";
  co_return co_await End(policyd, scope);
}

TEST_P(PolicydProcess, TheConnectionsOfAnSmtpdThatDiedAreForgotten) { Run(ForgetADeadSmtpd()); }

policy::RecipientQuestion Ask(std::string recipient, const char* client = "198.51.100.1") {
  policy::RecipientQuestion question;
  question.client = protocol::Ip::From(*IpAddress::Parse(client));
  question.sender = "a@client.example";
  question.recipient = std::move(recipient);
  return question;
}

io::Task<absl::Status> PolicydProcess::AnswerInOrder() {
  io::TaskScope scope;
  test::StartedDaemon policyd(*loop, scope, POSTERN_POLICYD, Configure());
  Smtpd smtpd(*loop, scope, policyd, 0);
  absl::Status ended = co_await policyd.Begin(Soon());
  constexpr size_t kQuestions = 1000;
  std::vector<uint32_t> asked;
  for (size_t i = 0; ended.ok() && i < kQuestions; ++i) {
    asked.push_back(smtpd.channel.NewId());
    ended = smtpd.channel.Send(
        asked.back(), Ask(i % 3 == 0 ? "alice@example.org" : StrCat("u", i, "@example.org")));
  }
  while (ended.ok() && smtpd.verdicts.ids.size() < kQuestions)
    ended = co_await smtpd.verdicts.changed.Wait(Soon());
  EXPECT_EQ(smtpd.verdicts.ids, asked);
  for (size_t i = 0; i < smtpd.verdicts.reasons.size(); ++i)
    EXPECT_EQ(smtpd.verdicts.reasons[i], i % 3 == 0 ? "local user" : "unknown local user") << i;
  IgnoreStatus(co_await End(policyd, scope), "always OK");
  co_return ended;
}

TEST_P(PolicydProcess, QuestionsSentAtOnceAreAnsweredInTheirOrder) { Run(AnswerInOrder()); }

io::Task<absl::Status> PolicydProcess::TakeNewRules() {
  io::TaskScope scope;
  test::StartedDaemon policyd(*loop, scope, POSTERN_POLICYD, Configure());
  Smtpd smtpd(*loop, scope, policyd, 0);
  absl::Status ended = co_await policyd.Begin(Soon());
  EXPECT_TRUE(ended.ok()) << ended;
  const policy::RecipientQuestion question = Ask("x@elsewhere.example");
  auto verdict = co_await smtpd.channel.Call<policy::Verdict>(question, Soon());
  EXPECT_TRUE(verdict.ok() && verdict->decision == Decision::kReject);
  const auto changed = co_await policyd.Reload(
      Configure("[smtp]\nmax_connections_per_client = 1\n"
                "[relay]\nnetworks = [\"198.51.100.0/24\"]\n[local]\nusers = [\"alice\"]\n")
          .configuration,
      Soon());
  EXPECT_TRUE(changed.ok()) << changed.status();
  verdict = co_await smtpd.channel.Call<policy::Verdict>(question, Soon());
  EXPECT_TRUE(verdict.ok() && verdict->decision == Decision::kAccept);
  EXPECT_EQ(co_await Connected(smtpd, "198.51.100.1"), "ok");
  EXPECT_EQ(co_await Connected(smtpd, "198.51.100.1"), kTooMany);
  co_return co_await End(policyd, scope);
}

TEST_P(PolicydProcess, AReloadBringsNewRules) { Run(TakeNewRules()); }

}  // namespace
}  // namespace postern::policyd
