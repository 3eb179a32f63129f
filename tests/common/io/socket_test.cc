#include "common/io/socket.h"

#include <fcntl.h>

#include <cerrno>

#include "common/io/frame_pool.h"
#include "common/io/listener.h"
#include "common/io/scope.h"
#include "tests/common/io/ends.h"
#include "tests/testing/run_in_loop.h"
#include "tests/testing/status_matchers.h"

namespace postern::io {
namespace {

using test::IsOk;
using test::StatusIs;

constexpr uint32_t kBufferOctets = 4096;
constexpr uint32_t kBuffers = 64;

class SocketTest : public test::OnBothBackends {};
ON_BOTH_BACKENDS(SocketTest);

Deadline Soon(Loop& loop) { return loop.After(absl::Seconds(60)); }

// Arms the receive and lets the kernel see it.
Task<absl::Status> BeIdle(Loop& loop, Socket& socket) {
  const auto received = co_await socket.Receive(loop.After(absl::Milliseconds(1)));
  if (absl::IsDeadlineExceeded(received.status())) co_return absl::OkStatus();
  co_return absl::InternalError("was not idle");
}

Task<absl::Status> ManyIdle(Loop& loop, uint64_t& held, uint64_t& held_when_served) {
  std::vector<UniqueFd> peers;
  std::vector<std::unique_ptr<Socket>> sockets;
  for (int i = 0; i < 200; ++i) {
    auto [a, b] = Ends();
    sockets.push_back(std::make_unique<Socket>(loop, std::move(a)));
    peers.push_back(std::move(b));
    CO_RETURN_IF_ERROR(co_await BeIdle(loop, *sockets.back()));
  }
  held = loop.counters().buffers_held;
  EXPECT_EQ(::send(peers[150].get(), "x", 1, 0), 1);
  CO_ASSIGN_OR_RETURN(const std::string_view bytes, co_await sockets[150]->Receive(Soon(loop)));
  held_when_served = loop.counters().buffers_held;
  sockets[150]->Consume(bytes.size());
  co_return loop.counters().buffers_held == 0 ? absl::OkStatus()
                                              : absl::InternalError("a buffer was not given back");
}

TEST_P(SocketTest, IdleConnectionsOwnNoBuffer) {
  uint64_t held = 1;
  uint64_t held_when_served = 0;
  Run(ManyIdle(*loop, held, held_when_served));
  EXPECT_EQ(held, 0u);
  EXPECT_EQ(held_when_served, 1u);
}

Task<absl::Status> LargerThanABuffer(Loop& loop, std::vector<size_t>& sizes) {
  auto [a, b] = Ends();
  Socket socket(loop, std::move(a));
  const std::string sent(kBufferOctets * 2 + 100, 'x');
  EXPECT_EQ(::send(b.get(), sent.data(), sent.size(), 0), static_cast<ssize_t>(sent.size()));
  size_t got = 0;
  while (got < sent.size()) {
    CO_ASSIGN_OR_RETURN(const std::string_view bytes, co_await socket.Receive(Soon(loop)));
    sizes.push_back(bytes.size());
    got += bytes.size();
    socket.Consume(1);  // part of it
    EXPECT_EQ(socket.Unread().size(), bytes.size() - 1);
    CO_ASSIGN_OR_RETURN(const std::string_view again, co_await socket.Receive(Soon(loop)));
    EXPECT_EQ(again.data(), bytes.data() + 1);
    socket.Consume(again.size());
  }
  co_return absl::OkStatus();
}

TEST_P(SocketTest, WhatIsLargerThanABufferComesInPieces) {
  std::vector<size_t> sizes;
  Run(LargerThanABuffer(*loop, sizes));
  EXPECT_EQ(sizes, (std::vector<size_t>{kBufferOctets, kBufferOctets, 100}));
}

struct FloodSeen {
  size_t most_held = 0;
  size_t flooded = 0;
  size_t received = 0;
  bool other_served = false;
};

// 50 MB towards a socket nobody reads, then everything is read after all.
Task<absl::Status> FloodOne(Loop& loop, FloodSeen& seen) {
  constexpr size_t kFlood = 50'000'000;
  auto [a, flooder] = Ends();
  auto [c, other] = Ends();
  Socket stuck(loop, std::move(a));
  Socket served(loop, std::move(c));
  CO_RETURN_IF_ERROR(co_await BeIdle(loop, stuck));
  for (int turn = 0; turn < 50; ++turn) {
    seen.flooded += Flood(flooder.get(), kFlood - seen.flooded);
    CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Microseconds(100))));
    seen.most_held = std::max<size_t>(seen.most_held, loop.counters().buffers_held);
    EXPECT_EQ(stuck.held_buffers(), loop.counters().buffers_held);
  }
  EXPECT_EQ(::send(other.get(), "x", 1, 0), 1);
  CO_ASSIGN_OR_RETURN(const std::string_view bytes, co_await served.Receive(Soon(loop)));
  seen.other_served = bytes == "x";
  while (seen.received < kFlood) {
    CO_ASSIGN_OR_RETURN(const std::string_view more, co_await stuck.Receive(Soon(loop)));
    seen.received += more.size();
    stuck.Consume(more.size());
    if (seen.flooded < kFlood) seen.flooded += Flood(flooder.get(), kFlood - seen.flooded);
  }
  co_return absl::OkStatus();
}

TEST_P(SocketTest, AFloodHoldsFewBuffersOthersAreServedAndNothingIsLost) {
  FloodSeen seen;
  Run(FloodOne(*loop, seen));
  EXPECT_EQ(seen.most_held, Socket::kMaxHeldBuffers);
  EXPECT_TRUE(seen.other_served);
  EXPECT_EQ(seen.received, 50'000'000u);
}

// All buffers are taken by connections that nobody reads; then one is read, and nothing but that
// happens: the starved one must be fed.
Task<absl::Status> Starve(Loop& loop, bool& starved, bool& fed) {
  constexpr size_t kHogs = kBuffers / Socket::kMaxHeldBuffers;
  std::vector<UniqueFd> peers;
  std::vector<std::unique_ptr<Socket>> hogs;
  for (size_t i = 0; i < kHogs; ++i) {
    auto [a, b] = Ends();
    hogs.push_back(std::make_unique<Socket>(loop, std::move(a)));
    peers.push_back(std::move(b));
    Flood(peers.back().get(), 3 * kBufferOctets * Socket::kMaxHeldBuffers);
    CO_RETURN_IF_ERROR((co_await hogs.back()->Receive(Soon(loop))).status());
  }
  while (loop.counters().buffers_held < kBuffers) {
    CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  }
  auto [a, b] = Ends();
  Socket poor(loop, std::move(a));
  EXPECT_EQ(::send(b.get(), "x", 1, 0), 1);
  const auto nothing = co_await poor.Receive(loop.After(absl::Milliseconds(20)));
  starved = absl::IsDeadlineExceeded(nothing.status());
  hogs[0]->Consume(hogs[0]->Unread().size());
  const auto bytes = co_await poor.Receive(Soon(loop));
  fed = bytes.ok() && *bytes == "x";
  co_return absl::OkStatus();
}

TEST_P(SocketTest, AStarvedReceiverIsFedWhenABufferComesBack) {
  bool starved = false;
  bool fed = false;
  Run(Starve(*loop, starved, fed));
  EXPECT_TRUE(starved);
  EXPECT_TRUE(fed);
}

Task<absl::Status> DieStarved(Loop& loop) {
  bool starved = false;
  bool fed = false;
  CO_RETURN_IF_ERROR(co_await Starve(loop, starved, fed));
  co_return loop.counters().buffers_held == 0 ? absl::OkStatus() : absl::InternalError("kept");
}

TEST_P(SocketTest, SocketsThatDieGiveTheirBuffersBack) { Run(DieStarved(*loop)); }

Task<absl::Status> ResetByPeer(Loop& loop, absl::Status& received, absl::Status& sent) {
  UniqueFd listener = Listening();
  UniqueFd peer = ConnectedTo(listener.get());
  Socket socket(loop, UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  CO_RETURN_IF_ERROR(co_await BeIdle(loop, socket));
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  EXPECT_EQ(::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  peer.reset();
  received = (co_await socket.Receive(Soon(loop))).status();
  sent = co_await socket.Send("x", Soon(loop));
  // The failure stays.
  CO_RETURN_IF_ERROR(absl::IsUnavailable((co_await socket.Receive(Soon(loop))).status())
                         ? absl::OkStatus()
                         : absl::InternalError("the reset was forgotten"));
  co_return absl::OkStatus();
}

TEST_P(SocketTest, AResetIsUnavailableForBothDirections) {
  absl::Status received;
  absl::Status sent;
  Run(ResetByPeer(*loop, received, sent));
  EXPECT_THAT(received, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(sent, StatusIs(absl::StatusCode::kUnavailable));
}

Task<absl::Status> SendAll(Loop& loop, Socket& socket, std::string bytes) {
  co_return co_await socket.Send(bytes, Soon(loop));
}

Task<absl::Status> ReadSlowly(Loop& loop, int fd, size_t octets, size_t& got) {
  std::string buffer(100'000, '\0');
  while (got < octets) {
    const ssize_t read = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (read > 0) got += static_cast<size_t>(read);
    if (read <= 0) CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Microseconds(50))));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> SendToASlowReader(Loop& loop, size_t& got) {
  constexpr size_t kOctets = 50'000'000;
  auto [a, b] = Ends();
  Socket socket(loop, std::move(a));
  TaskScope scope;
  scope.Spawn(SendAll(loop, socket, std::string(kOctets, 'x')));
  scope.Spawn(ReadSlowly(loop, b.get(), kOctets, got));
  co_return co_await scope.JoinOrCancel();
}

TEST_P(SocketTest, FiftyMegabytesGoToASlowReader) {
  size_t got = 0;
  Run(SendToASlowReader(*loop, got));
  EXPECT_EQ(got, 50'000'000u);
}

Task<absl::Status> SendToNobody(Loop& loop, absl::Status& sent) {
  auto [a, b] = Ends();
  Socket socket(loop, std::move(a));
  const std::string bytes(10'000'000, 'x');
  sent = co_await socket.Send(bytes, loop.After(absl::Milliseconds(20)));
  co_return absl::OkStatus();
}

TEST_P(SocketTest, ASendNobodyTakesEndsAtItsDeadline) {
  absl::Status sent;
  Run(SendToNobody(*loop, sent));
  EXPECT_THAT(sent, StatusIs(absl::StatusCode::kDeadlineExceeded));
}

struct HandOver {
  absl::Status with_unread;
  std::string received_elsewhere;
  std::string received_in_its_place;
};

Task<absl::Status> HandOverASocket(Loop& loop, HandOver& seen) {
  auto [a, b] = Ends();
  auto socket = std::make_unique<Socket>(loop, std::move(a));
  CO_RETURN_IF_ERROR(co_await BeIdle(loop, *socket));
  const int number = socket->fd();
  CO_ASSIGN_OR_RETURN(UniqueFd given, co_await socket->Release());
  EXPECT_EQ(given.get(), number);
  socket.reset();
  // Bytes that come after the release are for whoever has it now.
  EXPECT_EQ(::send(b.get(), "later", 5, 0), 5);
  // Another process would hold it: a duplicate keeps the connection, the number becomes free.
  const UniqueFd elsewhere(::fcntl(given.get(), F_DUPFD_CLOEXEC, 500));
  given.reset();
  char bytes[10];
  const ssize_t got = ::recv(elsewhere.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (got > 0) seen.received_elsewhere.assign(bytes, static_cast<size_t>(got));
  auto [c, d] = Ends();
  EXPECT_EQ(c.get(), number);
  Socket next(loop, std::move(c));
  CO_RETURN_IF_ERROR(co_await BeIdle(loop, next));
  EXPECT_EQ(::send(d.get(), "next", 4, 0), 4);
  CO_ASSIGN_OR_RETURN(const std::string_view in_its_place, co_await next.Receive(Soon(loop)));
  seen.received_in_its_place = in_its_place;
  seen.with_unread = (co_await next.Release()).status();
  co_return absl::OkStatus();
}

TEST_P(SocketTest, ASocketGivenAwayIsNoMoreWatchedHere) {
  HandOver seen;
  Run(HandOverASocket(*loop, seen));
  EXPECT_EQ(seen.received_elsewhere, "later");
  EXPECT_EQ(seen.received_in_its_place, "next");
  EXPECT_THAT(seen.with_unread, StatusIs(absl::StatusCode::kFailedPrecondition));
}

Task<absl::Status> Interrupted(Loop& loop, Socket& socket, absl::Status& seen) {
  seen = (co_await socket.Receive(Soon(loop))).status();
  co_return absl::OkStatus();
}

Task<absl::Status> InterruptAReceive(Loop& loop, absl::Status& seen, std::string& after) {
  auto [a, b] = Ends();
  Socket socket(loop, std::move(a));
  TaskScope scope;
  scope.Spawn(Interrupted(loop, socket, seen));
  CO_RETURN_IF_ERROR(co_await Sleep(loop.After(absl::Milliseconds(1))));
  socket.Interrupt();
  co_await scope.Join();
  socket.Interrupt();  // nobody waits: forgotten
  EXPECT_EQ(::send(b.get(), "x", 1, 0), 1);
  CO_ASSIGN_OR_RETURN(const std::string_view bytes, co_await socket.Receive(Soon(loop)));
  after = bytes;
  co_return absl::OkStatus();
}

TEST_P(SocketTest, AnInterruptEndsTheReceiveThatWaitsAndNoOther) {
  absl::Status seen;
  std::string after;
  Run(InterruptAReceive(*loop, seen, after));
  EXPECT_THAT(seen, StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(after, "x");
}

Task<absl::Status> ConnectAndClose(Loop& loop, int times) {
  UniqueFd bound = Listening();
  const int listening = bound.get();
  Listener listener(loop, std::move(bound));
  for (int i = 0; i < times; ++i) {
    UniqueFd peer = ConnectedTo(listening);
    CO_ASSIGN_OR_RETURN(Listener::Connection connection, co_await listener.Accept(Soon(loop)));
    Socket socket(loop, std::move(connection.fd));
    if (i % 3 == 0) peer.reset();
    // A turn, so that the receive is armed in the kernel when the socket dies.
    IgnoreStatus((co_await socket.Receive(loop.Now() + absl::Nanoseconds(1))).status(), "armed");
    const linger at_once{.l_onoff = 1, .l_linger = 0};  // no TIME_WAIT: ports are few
    if (peer) ::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  co_return absl::OkStatus();
}

TEST_P(SocketTest, TenThousandConnectionsLeaveNothingBehind) {
  Run(ConnectAndClose(*loop, 10));
  loop.reset();  // waits for what is still closing
  const size_t descriptors = OpenDescriptors();
  const uint64_t frames = FramePool::stats().live;
  loop = test::MakeLoop(GetParam());
  Run(ConnectAndClose(*loop, 10'000));
  EXPECT_EQ(loop->counters().buffers_held, 0u);
  loop.reset();
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(FramePool::stats().live, frames);
}

}  // namespace
}  // namespace postern::io
