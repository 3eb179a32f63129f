#include <fcntl.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <cerrno>

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

Deadline Soon(Loop& loop) { return loop.After(absl::Seconds(60)); }

Task<absl::Status> AcceptMany(Loop& loop, size_t connections, size_t& accepted,
                              size_t& before_asked) {
  UniqueFd bound = Listening(512);
  const int fd = bound.get();
  Listener listener(loop, std::move(bound));
  const size_t open = OpenDescriptors();
  std::vector<UniqueFd> peers;
  peers.push_back(ConnectedTo(fd));
  CO_ASSIGN_OR_RETURN(const UniqueFd first, co_await listener.Accept(Soon(loop)));
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
  size_t accepted = 0;
  size_t before_asked = 0;
  Run(AcceptMany(*loop, 300, accepted, before_asked));
  EXPECT_EQ(accepted, 300u);
  EXPECT_GE(before_asked, Listener::kMaxAcceptedAhead);
  EXPECT_LE(before_asked, Listener::kMaxAcceptedAhead + 16);
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

Task<absl::Status> AcceptWithoutDescriptors(Loop& loop, absl::Status& refused, bool& recovered) {
  UniqueFd bound = Listening();
  const int fd = bound.get();
  Listener listener(loop, std::move(bound));
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
  absl::Status refused;
  bool recovered = false;
  Run(AcceptWithoutDescriptors(*loop, refused, recovered));
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_TRUE(recovered);
}

Task<absl::Status> CloseWhileArmed(Loop& loop) {
  UniqueFd bound = Listening();
  const int fd = bound.get();
  const size_t open = OpenDescriptors();
  UniqueFd peer;
  {
    Listener listener(loop, std::move(bound));
    IgnoreStatus((co_await listener.Accept(loop.After(absl::Milliseconds(1)))).status(), "armed");
    peer = ConnectedTo(fd);  // accepted or not when the listener dies: closed in any case
  }
  while (OpenDescriptors() != open) {  // the listener's is gone, the peer's is new
    CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  }
  co_return absl::OkStatus();
}

TEST_P(ListenerTest, AListenerThatDiesClosesWhatItHadAccepted) { Run(CloseWhileArmed(*loop)); }

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
