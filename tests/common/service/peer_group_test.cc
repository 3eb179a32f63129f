// The neighbours of a daemon over time: there, gone, back.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "common/ipc/protocol/smtpc_resolvd.h"
#include "common/service/service.h"
#include "tests/testing/run_in_loop.h"

namespace postern::service {
namespace {

namespace query = protocol::dns;

class PeerGroupTest : public test::OnBothBackends {};
ON_BOTH_BACKENDS(PeerGroupTest);

std::pair<UniqueFd, UniqueFd> Pair() {
  int fds[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

struct Counting final : PeerHandler {
  void OnUp(ipc::Channel&) override { ++ups; }
  void OnDown(const absl::Status&) override { ++downs; }
  absl::Status OnFrame(ipc::Frame&) override { return absl::OkStatus(); }
  int ups = 0;
  int downs = 0;
};

struct Group {
  explicit Group(io::Loop& loop)
      : peers(loop, scope, protocol::kSmtpcResolvd, ipc::Side::kA, [this](uint32_t, uint8_t) {
          auto handler = std::make_unique<Counting>();
          handlers.push_back(handler.get());
          return handler;
        }) {}
  io::TaskScope scope;
  std::vector<Counting*> handlers;
  PeerGroup peers;
};

io::Task<void> Settle() {
  for (int i = 0; i < 8; ++i) co_await io::YieldTurn();
}

io::Task<absl::Status> TakeTurns(io::Loop& loop) {
  Group group(loop);
  EXPECT_EQ(group.peers.Next(), nullptr) << "nobody is there";
  auto a = Pair();
  auto b = Pair();
  group.peers.Attach(0, 1, std::move(a.first));
  group.peers.Attach(5, 2, std::move(b.first));
  co_await Settle();
  EXPECT_EQ(group.handlers.size(), 2u);
  ipc::Channel* first = group.peers.Next();
  ipc::Channel* second = group.peers.Next();
  EXPECT_EQ(first, group.peers.channel(5));
  EXPECT_EQ(second, group.peers.channel(0));
  EXPECT_EQ(group.peers.Next(), first);
  EXPECT_EQ(group.peers.channel(1), nullptr) << "an index that nobody has";
  group.scope.RequestStop();
  co_await group.scope.Join();
  co_return absl::OkStatus();
}

TEST_P(PeerGroupTest, WorkGoesToEachPresentPeerInTurn) { Run(TakeTurns(*loop)); }

io::Task<absl::Status> Replace(io::Loop& loop) {
  Group group(loop);
  auto before = Pair();
  group.peers.Attach(0, 1, std::move(before.first));
  co_await Settle();
  EXPECT_EQ(group.handlers[0]->ups, 1);
  before.second.reset();  // it died
  const io::Deadline bound = loop.After(absl::Seconds(10));
  while (group.handlers[0]->downs == 0 && loop.Now() < bound) co_await io::YieldTurn();
  EXPECT_EQ(group.handlers[0]->downs, 1);
  EXPECT_EQ(group.peers.channel(0), nullptr);
  auto after = Pair();
  group.peers.Attach(0, 1, std::move(after.first));
  while (group.peers.channel(0) == nullptr && loop.Now() < bound) co_await io::YieldTurn();
  EXPECT_EQ(group.handlers.size(), 1u) << "the same handler, with a new channel";
  EXPECT_EQ(group.handlers[0]->ups, 2);
  group.scope.RequestStop();
  co_await group.scope.Join();
  co_return absl::OkStatus();
}

TEST_P(PeerGroupTest, APeerThatComesAgainKeepsItsHandler) { Run(Replace(*loop)); }

io::Task<absl::Status> Flush(io::Loop& loop) {
  Group group(loop);
  auto pair = Pair();
  group.peers.Attach(0, 1, std::move(pair.first));
  co_await Settle();
  ipc::Channel* channel = group.peers.channel(0);
  EXPECT_NE(channel, nullptr);
  const query::Question question{.name = "example.org", .type = query::RecordType::kA};
  CO_RETURN_IF_ERROR(channel->Send(channel->NewId(), question));
  EXPECT_GT(channel->pending_octets(), 0u);
  co_await group.peers.WaitUntilFlushed(loop.After(absl::Seconds(10)));
  char octets[512];
  EXPECT_GT(::recv(pair.second.get(), octets, sizeof octets, MSG_DONTWAIT), 0) << "it has left";
  // One that takes nothing is waited for no longer than that.
  pair.second.reset();
  co_await group.peers.WaitUntilFlushed(loop.After(absl::Seconds(10)));
  group.scope.RequestStop();
  co_await group.scope.Join();
  co_return absl::OkStatus();
}

TEST_P(PeerGroupTest, WaitUntilFlushedWaitsForWhatWasSaid) { Run(Flush(*loop)); }

}  // namespace
}  // namespace postern::service
