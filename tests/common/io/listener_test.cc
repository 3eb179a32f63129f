#include "common/io/listener.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <vector>

#include "common/io/scope.h"
#include "common/io/socket.h"
#include "tests/common/io/ends.h"
#include "tests/testing/run_in_loop.h"
#include "tests/testing/status_matchers.h"

namespace postern::io {
namespace {

using test::IsOk;
using test::StatusIs;

class ListenerTest : public test::OnBothBackends {};
ON_BOTH_BACKENDS(ListenerTest);

using Peers = Listener::Peers;
constexpr Peers kBothPeers[] = {Peers::kUnnamed, Peers::kNamed};

Deadline Soon(Loop& loop) { return loop.After(absl::Seconds(60)); }

Task<absl::Status> AcceptMany(Loop& loop, Peers peers_are, size_t connections, size_t& accepted,
                              size_t& before_asked) {
  UniqueFd bound = Listening(512);
  const int fd = bound.get();
  Listener listener(loop, std::move(bound), peers_are);
  const size_t open = OpenDescriptors();
  std::vector<UniqueFd> peers;
  peers.push_back(ConnectedTo(fd));
  CO_ASSIGN_OR_RETURN(const auto first, co_await listener.Accept(Soon(loop)));
  ++accepted;
  // Nobody asks for these; they come one by one, so that the loop could take them one by one.
  while (peers.size() < connections) {
    peers.push_back(ConnectedTo(fd));
    if (peers.size() % 4 == 0) {
      CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Microseconds(10))));
    }
  }
  before_asked = OpenDescriptors() - open - peers.size() - 1;
  while (accepted < connections) {
    CO_RETURN_IF_ERROR((co_await listener.Accept(Soon(loop))).status());
    ++accepted;
  }
  co_return absl::OkStatus();
}

TEST_P(ListenerTest, AcceptsManyButFewAheadOfBeingAsked) {
  for (const Peers peers : kBothPeers) {
    size_t accepted = 0;
    size_t before_asked = 0;
    Run(AcceptMany(*loop, peers, 300, accepted, before_asked));
    EXPECT_EQ(accepted, 300u);
    // Accepts that name the peer take one connection each and are begun when somebody asks.
    const size_t ahead = peers == Peers::kNamed
                             ? std::min(loop->accepts_at_once(), Listener::kMaxAcceptsAtOnce) - 1
                             : Listener::kMaxAcceptedAhead;
    EXPECT_GE(before_asked, ahead);
    EXPECT_LE(before_asked, ahead + 16);
  }
}

Task<absl::Status> AcceptNamed(Loop& loop, Peers peers_are, size_t ahead, size_t& rightly_named) {
  UniqueFd bound = Listening();
  const int fd = bound.get();
  Listener listener(loop, std::move(bound), peers_are);
  listener.set_accepted_ahead(ahead);
  for (int round = 0; round < 3; ++round) {
    std::vector<UniqueFd> peers;
    std::set<SocketAddress> expected;
    // Some come while accepts wait, some while nobody asks.
    for (int i = 0; i < 20; ++i) {
      peers.push_back(ConnectedTo(fd));
      expected.insert(*LocalAddress(peers.back().get()));
    }
    for (size_t i = 0; i < peers.size(); ++i) {
      CO_ASSIGN_OR_RETURN(const auto connection, co_await listener.Accept(Soon(loop)));
      if (connection.peer == *PeerAddress(connection.fd.get()))
        rightly_named += expected.erase(connection.peer);
    }
    const auto nobody = co_await listener.Accept(loop.After(absl::Milliseconds(1)));
    EXPECT_THAT(nobody, StatusIs(absl::StatusCode::kDeadlineExceeded));
  }
  co_return absl::OkStatus();
}

TEST_P(ListenerTest, ConnectionsComeWithTheAddressOfTheirPeer) {
  for (const size_t ahead : {size_t{1}, size_t{3}, Listener::kMaxAcceptedAhead}) {
    size_t rightly_named = 0;
    Run(AcceptNamed(*loop, Peers::kNamed, ahead, rightly_named));
    EXPECT_EQ(rightly_named, 60u) << ahead;
  }
}

TEST_P(ListenerTest, WithoutNamesConnectionsComeWithoutAnAddress) {
  size_t rightly_named = 0;
  Run(AcceptNamed(*loop, Peers::kUnnamed, Listener::kMaxAcceptedAhead, rightly_named));
  EXPECT_EQ(rightly_named, 0u);
}

Task<absl::Status> CountAcceptsAhead(Loop& loop, size_t ahead, size_t& taken) {
  UniqueFd bound = Listening();
  const int fd = bound.get();
  Listener listener(loop, std::move(bound), Peers::kNamed);
  listener.set_accepted_ahead(ahead);
  IgnoreStatus((co_await listener.Accept(loop.After(absl::Milliseconds(1)))).status(), "armed");
  const size_t open = OpenDescriptors();
  std::vector<UniqueFd> peers;
  for (size_t i = 0; i < 40; ++i) peers.push_back(ConnectedTo(fd));
  CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(5))));
  taken = OpenDescriptors() - open - peers.size();
  co_return absl::OkStatus();
}

TEST_P(ListenerTest, NoMoreConnectionsWithNamesAreTakenThanWereToldAhead) {
  for (const size_t ahead : {size_t{1}, size_t{3}}) {
    size_t taken = 0;
    Run(CountAcceptsAhead(*loop, ahead, taken));
    EXPECT_EQ(taken, std::min(ahead, loop->accepts_at_once())) << ahead;
  }
}

Task<absl::Status> AcceptBlocking(Loop& loop, bool nonblocking, bool& served) {
  UniqueFd bound = Listening();
  if (!nonblocking) {
    EXPECT_EQ(::fcntl(bound.get(), F_SETFL, 0), 0);
  }
  const int fd = bound.get();
  Listener listener(loop, std::move(bound));
  const auto nobody = co_await listener.Accept(loop.After(absl::Milliseconds(5)));
  EXPECT_THAT(nobody, StatusIs(absl::StatusCode::kDeadlineExceeded));
  for (int i = 0; i < 3; ++i) {
    const UniqueFd peer = ConnectedTo(fd);
    CO_RETURN_IF_ERROR((co_await listener.Accept(Soon(loop))).status());
  }
  served = true;
  co_return absl::OkStatus();
}

TEST_P(ListenerTest, ListenersThatBlockOrNotAreServedAlike) {
  // A blocking one would block the epoll backend when another process was faster: not offered
  // there.
  for (const bool nonblocking : {true, false}) {
    if (!nonblocking && GetParam() == BackendKind::kEpoll) continue;
    bool served = false;
    Run(AcceptBlocking(*loop, nonblocking, served));
    EXPECT_TRUE(served) << nonblocking;
  }
}

Task<absl::Status> AcceptWithoutDescriptors(Loop& loop, Peers peers, absl::Status& refused,
                                            bool& recovered) {
  // What ran on this loop before is closed by then: a number that came free would be one left.
  CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  UniqueFd bound = Listening();
  const int fd = bound.get();
  Listener listener(loop, std::move(bound), peers);
  const UniqueFd peer = ConnectedTo(fd);
  rlimit before;
  EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const UniqueFd next_free(::dup(fd));
  const rlimit none{.rlim_cur = static_cast<rlim_t>(next_free.get()) + 1,
                    .rlim_max = before.rlim_max};
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  refused = (co_await listener.Accept(Soon(loop))).status();
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  // Whether the connection refused was dropped or waits still: the next one is served.
  const UniqueFd second = ConnectedTo(fd);
  recovered = (co_await listener.Accept(Soon(loop))).ok();
  co_return absl::OkStatus();
}

TEST_P(ListenerTest, NoDescriptorLeftIsReportedAndGotOver) {
  for (const Peers peers : kBothPeers) {
    absl::Status refused;
    bool recovered = false;
    Run(AcceptWithoutDescriptors(*loop, peers, refused, recovered));
    EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_TRUE(recovered);
  }
}

Task<absl::Status> CloseWhileArmed(Loop& loop, Peers peers) {
  UniqueFd bound = Listening();
  const int fd = bound.get();
  const size_t open = OpenDescriptors();
  UniqueFd peer;
  {
    Listener listener(loop, std::move(bound), peers);
    IgnoreStatus((co_await listener.Accept(loop.After(absl::Milliseconds(1)))).status(), "armed");
    peer = ConnectedTo(fd);  // accepted or not when the listener dies: closed in any case
  }
  while (OpenDescriptors() != open) {  // the listener's is gone, the peer's is new
    CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  }
  co_return absl::OkStatus();
}

TEST_P(ListenerTest, AListenerThatDiesClosesWhatItHadAccepted) {
  for (const Peers peers : kBothPeers) Run(CloseWhileArmed(*loop, peers));
}

// --- Connect

Task<absl::Status> TryConnect(Loop& loop, const SocketAddress& address, absl::Status& seen) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  seen = co_await Connect(loop, fd.get(), address, Soon(loop));
  co_return absl::OkStatus();
}

TEST_P(ListenerTest, ConnectReachesAListenerAndIsRefusedWithoutOne) {
  UniqueFd listening = Listening();
  const SocketAddress address = *LocalAddress(listening.get());
  // Again and again, with descriptors closed behind the loop's back: numbers come back.
  for (int i = 0; i < 5; ++i) {
    absl::Status seen;
    Run(TryConnect(*loop, address, seen));
    EXPECT_THAT(seen, IsOk());
  }
  listening.reset();
  for (int i = 0; i < 5; ++i) {
    absl::Status seen;
    Run(TryConnect(*loop, address, seen));
    EXPECT_THAT(seen, StatusIs(absl::StatusCode::kUnavailable));
  }
}

Task<absl::Status> TryUnix(Loop& loop, std::string path, absl::Status& seen) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  seen = co_await ConnectUnix(loop, fd.get(), path, Soon(loop));
  co_return absl::OkStatus();
}

TEST_P(ListenerTest, UnixSocketsAreReachedByPath) {
  char name[] = "/tmp/postern-io-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const std::string path = std::string(name) + "/socket";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  UniqueFd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listening.get(), 5), 0);
  absl::Status seen;
  Run(TryUnix(*loop, path, seen));
  EXPECT_THAT(seen, IsOk());
  listening.reset();
  Run(TryUnix(*loop, path, seen));
  EXPECT_THAT(seen, StatusIs(absl::StatusCode::kUnavailable));
  Run(TryUnix(*loop, path + "-none", seen));
  EXPECT_THAT(seen, StatusIs(absl::StatusCode::kNotFound));
  Run(TryUnix(*loop, std::string(sizeof address.sun_path, 'x'), seen));
  EXPECT_THAT(seen, StatusIs(absl::StatusCode::kInvalidArgument));
  std::filesystem::remove_all(name);
}

}  // namespace
}  // namespace postern::io
