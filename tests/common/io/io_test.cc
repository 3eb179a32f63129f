#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>

#include "common/io/event.h"
#include "common/io/file.h"
#include "common/io/frame_pool.h"
#include "common/io/scope.h"
#include "common/io/socket.h"
#include "common/io/timer_heap.h"
#include "tests/testing/run_in_loop.h"

namespace postern::io {
namespace {

class Runtime : public test::OnBothBackends {};
ON_BOTH_BACKENDS(Runtime);

Task<int> AddOne(int n) { co_return n + 1; }

Task<absl::Status> CountTo(int limit, int& reached) {
  int n = 0;
  while (n < limit) n = co_await AddOne(n);
  reached = n;
  co_return absl::OkStatus();
}

TEST_P(Runtime, AMillionAwaitsDoNotGrowTheStack) {
  int reached = 0;
  Run(CountTo(1'000'000, reached));
  EXPECT_EQ(reached, 1'000'000);
}

TEST_P(Runtime, ATaskThatIsNotAwaitedDoesNothing) {
  int reached = -1;
  {
    auto task = CountTo(3, reached);
  }
  EXPECT_EQ(reached, -1);
  EXPECT_EQ(FramePool::stats().live, 0u);
}

Task<absl::Status> WaitFor(Event& event, Deadline until, absl::Status& seen) {
  seen = co_await event.Wait(until);
  co_return seen;
}

Task<absl::Status> StopAWaitingChild(Loop& loop, absl::Status& seen) {
  Event never;
  TaskScope scope;
  scope.Spawn(WaitFor(never, Deadline::Never(), seen));
  co_await YieldTurn();
  scope.RequestStop();
  co_return co_await scope.JoinOrCancel();
}

TEST_P(Runtime, AStopRequestEndsAWaitWithCancelled) {
  absl::Status seen;
  Run(StopAWaitingChild(*loop, seen));
  EXPECT_TRUE(absl::IsCancelled(seen)) << seen;
}

Task<absl::Status> WaitTooLong(Loop& loop, absl::Status& seen) {
  Event never;
  seen = co_await never.Wait(loop.After(absl::Milliseconds(5)));
  co_return absl::OkStatus();
}

TEST_P(Runtime, ADeadlineEndsAWaitWithDeadlineExceeded) {
  absl::Status seen;
  Run(WaitTooLong(*loop, seen));
  EXPECT_TRUE(absl::IsDeadlineExceeded(seen)) << seen;
}

Task<absl::Status> Fail() { co_return absl::InternalError("on purpose"); }

Task<absl::Status> OneFailsTheOtherWaits(absl::Status& joined, absl::Status& other) {
  Event never;
  TaskScope scope;
  scope.Spawn(WaitFor(never, Deadline::Never(), other));
  scope.Spawn(Fail());
  joined = co_await scope.JoinOrCancel();
  co_return absl::OkStatus();
}

TEST_P(Runtime, AFailureCancelsTheOtherChildrenOfAScope) {
  absl::Status joined;
  absl::Status other;
  Run(OneFailsTheOtherWaits(joined, other));
  EXPECT_EQ(joined.code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(absl::IsCancelled(other)) << other;
}

std::pair<UniqueFd, UniqueFd> Pair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Task<absl::Status> SendAll(Socket& socket, std::string text, Deadline until) {
  co_return co_await socket.Send(text, until);
}

Task<absl::Status> ReceiveOctets(Socket& socket, size_t octets, std::string& got, Deadline until) {
  while (got.size() < octets) {
    CO_ASSIGN_OR_RETURN(const std::string_view bytes, co_await socket.Receive(until));
    if (bytes.empty()) co_return Unavailable("closed early");
    got += bytes;
    socket.Consume(bytes.size());
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Echo(Loop& loop, size_t octets, bool& same) {
  auto [a, b] = Pair();
  Socket left(loop, std::move(a));
  Socket right(loop, std::move(b));
  std::string text(octets, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 + i / 4096);
  std::string got;
  TaskScope scope;
  scope.Spawn(SendAll(left, text, loop.After(absl::Seconds(30))));
  scope.Spawn(ReceiveOctets(right, octets, got, loop.After(absl::Seconds(30))));
  CO_RETURN_IF_ERROR(co_await scope.JoinOrCancel());
  same = got == text;
  co_return absl::OkStatus();
}

TEST_P(Runtime, MoreThanAllBuffersTogetherArrivesWhole) {
  bool same = false;
  Run(Echo(*loop, 5'000'000, same));
  EXPECT_TRUE(same);
}

Task<absl::Status> IdleThenStarved(Loop& loop, bool& others_served, size_t& held) {
  // One connection is sent a lot and reads nothing; another must still get its bytes.
  auto [a, b] = Pair();
  auto [c, d] = Pair();
  Socket stuck(loop, std::move(b));
  Socket served(loop, std::move(d));
  std::string flood(1 << 20, 'x');
  IgnoreStatus((co_await stuck.Receive(loop.Now())).status(), "arms the receive");
  while (::send(a.get(), flood.data(), flood.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
    co_await YieldTurn();
  for (int turn = 0; turn < 20; ++turn)
    IgnoreStatus(co_await Sleep(loop.After(absl::Milliseconds(1))), "lets the loop turn");
  if (::send(c.get(), "hello", 5, MSG_NOSIGNAL) != 5) co_return ErrnoStatus(errno, "send");
  std::string got;
  CO_RETURN_IF_ERROR(co_await ReceiveOctets(served, 5, got, loop.After(absl::Seconds(10))));
  others_served = got == "hello";
  held = stuck.held_buffers();
  co_return absl::OkStatus();
}

TEST_P(Runtime, APeerThatIsNotReadHoldsFewBuffersAndOthersAreServed) {
  bool others_served = false;
  size_t held = 0;
  Run(IdleThenStarved(*loop, others_served, held));
  EXPECT_TRUE(others_served);
  EXPECT_EQ(held, Socket::kMaxHeldBuffers);
}

Task<absl::Status> PeerCloses(Loop& loop, bool& ended) {
  auto [a, b] = Pair();
  Socket socket(loop, std::move(b));
  if (::send(a.get(), "x", 1, MSG_NOSIGNAL) != 1) co_return ErrnoStatus(errno, "send");
  a.reset();
  std::string got;
  CO_RETURN_IF_ERROR(co_await ReceiveOctets(socket, 1, got, loop.After(absl::Seconds(5))));
  CO_ASSIGN_OR_RETURN(const std::string_view rest,
                      co_await socket.Receive(loop.After(absl::Seconds(5))));
  ended = rest.empty();
  co_return absl::OkStatus();
}

TEST_P(Runtime, AfterTheLastOctetComesTheEnd) {
  bool ended = false;
  Run(PeerCloses(*loop, ended));
  EXPECT_TRUE(ended);
}

size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

Task<absl::Status> OpenAndCloseMany(Loop& loop) {
  for (int i = 0; i < 300; ++i) {
    auto [a, b] = Pair();
    Socket socket(loop, std::move(b));
    IgnoreStatus((co_await socket.Receive(loop.Now())).status(),
                 "arms the receive, which is under way at the end");
  }
  IgnoreStatus(co_await Sleep(loop.After(absl::Milliseconds(5))), "lets the closes complete");
  co_return absl::OkStatus();
}

TEST_P(Runtime, ClosingWithAReceiveUnderWayLeaksNothing) {
  Run(OpenAndCloseMany(*loop));
  const size_t before = OpenDescriptors();
  Run(OpenAndCloseMany(*loop));
  EXPECT_EQ(OpenDescriptors(), before);
  EXPECT_EQ(FramePool::stats().live, 0u);
}

Task<absl::Status> FilesRoundTrip(Loop& loop, int directory, std::string& read_back,
                                  absl::Status& replaced, absl::Status& escaped) {
  {
    CO_ASSIGN_OR_RETURN(const UniqueFd file,
                        co_await OpenBeneath(loop, directory, "a", O_RDWR | O_CREAT | O_EXCL, 0600,
                                             Deadline::Never()));
    CO_RETURN_IF_ERROR(co_await WriteAndSync(loop, file.get(), "hello ", 0));
    CO_RETURN_IF_ERROR(co_await WriteAt(loop, file.get(), "world", 6, Deadline::Never()));
    CO_RETURN_IF_ERROR(co_await SyncFile(loop, file.get(), Sync::kDataOnly, Deadline::Never()));
    read_back.resize(100);
    CO_ASSIGN_OR_RETURN(const size_t got, co_await ReadAt(loop, file.get(), read_back.data(),
                                                          read_back.size(), 0, Deadline::Never()));
    read_back.resize(got);
  }
  CO_RETURN_IF_ERROR(
      (co_await OpenBeneath(loop, directory, "b", O_WRONLY | O_CREAT, 0600, Deadline::Never()))
          .status());
  replaced = co_await Rename(loop, directory, "a", directory, "b", false, Deadline::Never());
  CO_RETURN_IF_ERROR(
      co_await Rename(loop, directory, "a", directory, "c", false, Deadline::Never()));
  CO_RETURN_IF_ERROR(co_await Unlink(loop, directory, "c", Deadline::Never()));
  escaped =
      (co_await OpenBeneath(loop, directory, "../x", O_RDONLY, 0, Deadline::Never())).status();
  co_return absl::OkStatus();
}

TEST_P(Runtime, FilesAreWrittenReadRenamedAndNeverLeftTheDirectory) {
  char name[] = "/tmp/postern-io-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const UniqueFd directory(::open(name, O_RDONLY | O_DIRECTORY));
  std::string read_back;
  absl::Status replaced;
  absl::Status escaped;
  Run(FilesRoundTrip(*loop, directory.get(), read_back, replaced, escaped));
  EXPECT_EQ(read_back, "hello world");
  EXPECT_TRUE(absl::IsAlreadyExists(replaced)) << replaced;
  EXPECT_FALSE(escaped.ok());
  std::filesystem::remove_all(name);
}

Task<absl::Status> FullDevice(Loop& loop, absl::Status& seen) {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  seen = co_await WriteAndSync(loop, full.get(), "x", 0);
  co_return absl::OkStatus();
}

TEST_P(Runtime, AWriteThatFailsIsNeverCalledSynced) {
  absl::Status seen;
  Run(FullDevice(*loop, seen));
  EXPECT_TRUE(absl::IsResourceExhausted(seen)) << seen;
}

TEST(TimerHeap, GivesNodesInOrderWhateverIsAddedAndRemoved) {
  std::mt19937 random(7);
  TimerHeap heap;
  std::vector<std::unique_ptr<TimerNode>> nodes;
  std::multimap<int64_t, TimerNode*> expected;
  for (int step = 0; step < 20'000; ++step) {
    if (expected.empty() || random() % 3 != 0) {
      auto node = std::make_unique<TimerNode>();
      node->due_nanoseconds = static_cast<int64_t>(random() % 1000);
      heap.Add(*node);
      expected.emplace(node->due_nanoseconds, node.get());
      nodes.push_back(std::move(node));
    } else {
      auto at = expected.begin();
      std::advance(at, static_cast<ptrdiff_t>(random() % std::min<size_t>(expected.size(), 20)));
      heap.Remove(*at->second);
      expected.erase(at);
    }
    ASSERT_EQ(heap.size(), expected.size());
    if (!expected.empty()) {
      ASSERT_EQ(heap.nearest()->due_nanoseconds, expected.begin()->first);
    }
  }
}

}  // namespace
}  // namespace postern::io
