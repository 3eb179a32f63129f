#include "daemons/resolvd/event_base.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <functional>
#include <string>

#include "common/base/unique_fd.h"
#include "common/io/event.h"
#include "tests/daemons/resolvd/on_loop.h"

namespace postern::resolvd {
namespace {

// An event as the library makes it: through the tables alone.
class Made {
 public:
  using Callback = std::function<void(Made&, short)>;
  Made(EventBase& base, int fd, short bits, Callback callback) : callback_(std::move(callback)) {
    event_ = base.vmt->new_event(&base, fd, bits, Call, this);
  }
  ~Made() { Free(); }
  Made(const Made&) = delete;

  void Add() { event_->vmt->add(event_, nullptr); }
  void Add(absl::Duration timeout) {
    timeval time = absl::ToTimeval(timeout);
    event_->vmt->add(event_, &time);
  }
  void Delete() { event_->vmt->del(event_); }
  void Free() {
    if (event_ != nullptr) event_->vmt->free(event_);
    event_ = nullptr;
  }
  ub_event* event() { return event_; }
  // What each call was told: "r", "w", "t", "rw".
  std::string calls;

 private:
  static void Call(int, short bits, void* argument) {
    auto& self = *static_cast<Made*>(argument);
    if (!self.calls.empty()) self.calls += ' ';
    if ((bits & UB_EV_READ) != 0) self.calls += 'r';
    if ((bits & UB_EV_WRITE) != 0) self.calls += 'w';
    if ((bits & UB_EV_TIMEOUT) != 0) self.calls += 't';
    if (self.callback_) self.callback_(self, bits);
  }
  Callback callback_;
  ub_event* event_;
};

struct Pair {
  Pair() { Open(); }
  void Open() {
    int fds[2];
    CHECK(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    ours.reset(fds[0]);
    theirs.reset(fds[1]);
  }
  void Send() const { CHECK(::send(theirs.get(), "x", 1, 0) == 1); }
  void Drain() const {
    char octet;
    CHECK(::recv(ours.get(), &octet, 1, 0) == 1);
  }
  UniqueFd ours, theirs;
};

constexpr short kRead = UB_EV_READ;
constexpr short kReadOn = UB_EV_READ | UB_EV_PERSIST;
constexpr absl::Duration kLong = absl::Hours(1);

class EventBaseTest : public test::OnLoop {
 protected:
  void SetUp() override {
    OnLoop::SetUp();
    if (loop_ != nullptr) base_.Attach(*loop_);
  }
  // Runs the loop until `condition` holds, 10 s at most, and a few turns more.
  void RunUntil(std::function<bool()> condition) { Run(Wait(std::move(condition), Soon())); }
  void RunTurns(int turns) {
    RunUntil([turns]() mutable { return turns-- == 0; });
  }
  io::Task<absl::Status> Wait(std::function<bool()> condition, io::Deadline until) {
    while (!condition()) {
      if (until <= loop_->Now()) co_return DeadlineExceeded("the condition never held");
      CO_RETURN_IF_ERROR(co_await io::Sleep(loop_->After(absl::Microseconds(200))));
    }
    for (int i = 0; i < 5; ++i)
      CO_RETURN_IF_ERROR(co_await io::Sleep(loop_->After(absl::Microseconds(200))));
    co_return absl::OkStatus();
  }
  EventBase base_;
};
INSTANTIATE_TEST_SUITE_P(Io, EventBaseTest, test::Backends(), test::BackendName);

TEST_P(EventBaseTest, AnEventFiresOnceUnlessItPersists) {
  Pair pair;
  Made once(base_, pair.ours.get(), kRead, {});
  once.Add();
  EXPECT_EQ(base_.active_events(), 1u);
  pair.Send();
  RunUntil([&] { return !once.calls.empty(); });
  EXPECT_EQ(once.calls, "r");  // though the octet was never read
  EXPECT_EQ(base_.active_events(), 0u);
}

TEST_P(EventBaseTest, APersistentEventFiresForEachPacket) {
  Pair pair;
  Made event(base_, pair.ours.get(), kReadOn, [&pair](Made&, short) { pair.Drain(); });
  event.Add();
  for (int i = 1; i <= 3; ++i) {
    pair.Send();
    RunUntil([&] { return event.calls.size() == static_cast<size_t>(2 * i - 1); });
  }
  EXPECT_EQ(event.calls, "r r r");
}

TEST_P(EventBaseTest, ReadinessToWriteIsToldApart) {
  Pair pair;
  Made event(base_, pair.ours.get(), UB_EV_READ | UB_EV_WRITE, {});
  event.Add();
  RunUntil([&] { return !event.calls.empty(); });
  EXPECT_EQ(event.calls, "w");
}

TEST_P(EventBaseTest, BitsCanBeChangedBetweenAdds) {
  Pair pair;
  Made event(base_, pair.ours.get(), UB_EV_WRITE | UB_EV_PERSIST, {});
  event.event()->vmt->del_bits(event.event(), UB_EV_WRITE);
  event.event()->vmt->add_bits(event.event(), UB_EV_READ);
  event.Add();
  RunTurns(5);
  EXPECT_EQ(event.calls, "");
  pair.Send();
  RunUntil([&] { return !event.calls.empty(); });
  EXPECT_EQ(event.calls.front(), 'r');
}

TEST_P(EventBaseTest, ATimeComesOnceAndIsAddedAnew) {
  int left = 3;
  Made timer(base_, -1, UB_EV_TIMEOUT, [&left](Made& self, short) {
    if (--left > 0) self.Add(absl::ZeroDuration());
  });
  timer.Add(absl::Milliseconds(1));
  RunUntil([&] { return left == 0; });
  EXPECT_EQ(timer.calls, "t t t");
  EXPECT_EQ(base_.active_events(), 0u);
}

TEST_P(EventBaseTest, ATimeCountsFromTheLastPacketAndEndsAQuietWait) {
  Pair pair;
  Made event(base_, pair.ours.get(), kReadOn, [&pair](Made& self, short bits) {
    if ((bits & UB_EV_READ) != 0) pair.Drain();
    if ((bits & UB_EV_TIMEOUT) != 0) self.Delete();
  });
  event.Add(absl::Milliseconds(20));
  pair.Send();
  RunUntil([&] { return event.calls.ends_with('t'); });
  EXPECT_EQ(event.calls, "r t");
}

TEST_P(EventBaseTest, ADeletedEventNeverFires) {
  Pair pair;
  Made event(base_, pair.ours.get(), kReadOn, {});
  event.Add(kLong);
  RunTurns(2);
  event.Delete();
  event.Delete();  // twice is as good as once
  pair.Send();
  RunTurns(5);
  EXPECT_EQ(event.calls, "");
  EXPECT_EQ(base_.active_events(), 0u);
}

TEST_P(EventBaseTest, AnEventMayBeDeletedInItsOwnCallback) {
  Pair pair;
  Made event(base_, pair.ours.get(), kReadOn, [](Made& self, short) { self.Delete(); });
  event.Add(kLong);
  pair.Send();
  RunUntil([&] { return !event.calls.empty(); });
  EXPECT_EQ(event.calls, "r");
}

TEST_P(EventBaseTest, AnEventMayBeFreedInItsOwnCallback) {
  Pair pair;
  Made event(base_, pair.ours.get(), kReadOn, [](Made& self, short) { self.Free(); });
  event.Add(kLong);
  Made timer(base_, -1, UB_EV_TIMEOUT, [](Made& self, short) { self.Free(); });
  timer.Add(absl::ZeroDuration());
  pair.Send();
  RunUntil([&] { return !event.calls.empty() && !timer.calls.empty(); });
  EXPECT_EQ(event.calls, "r");
  EXPECT_EQ(timer.calls, "t");
}

TEST_P(EventBaseTest, AnEventMayBeFreedByAnotherOnesCallback) {
  Pair a, b;
  Made* other[2];
  int fired = 0;
  const auto free_other = [&](Made& self, short) {
    ++fired;
    (&self == other[0] ? other[1] : other[0])->Free();
  };
  Made first(base_, a.ours.get(), kReadOn, free_other);
  Made second(base_, b.ours.get(), kReadOn, free_other);
  other[0] = &first;
  other[1] = &second;
  a.Send();
  b.Send();
  first.Add();
  second.Add();
  // Both are ready in the same turn; whoever comes first frees the other. The one left would fire
  // on and on.
  RunUntil([&] { return fired > 0; });
  EXPECT_TRUE(first.calls.empty() || second.calls.empty());
  first.Free();
  second.Free();
}

TEST_P(EventBaseTest, AnEventMayBeFreedWhileTheKernelPolls) {
  Pair pair;
  Made event(base_, pair.ours.get(), kReadOn, {});
  event.Add(kLong);
  RunTurns(2);
  event.Free();
  pair.Send();
  RunTurns(5);
  EXPECT_EQ(event.calls, "");
}

TEST_P(EventBaseTest, AddingTwiceFiresOnce) {
  Pair pair;
  Made event(base_, pair.ours.get(), kReadOn, [&pair](Made&, short) { pair.Drain(); });
  event.Add();
  event.Add(kLong);
  EXPECT_EQ(base_.active_events(), 1u);
  pair.Send();
  RunUntil([&] { return !event.calls.empty(); });
  EXPECT_EQ(event.calls, "r");
}

TEST_P(EventBaseTest, ANumberThatComesBackAsAnotherSocketIsWatched) {
  Pair pair;
  const int number = pair.ours.get();
  Made event(base_, number, kReadOn, [&pair](Made&, short) { pair.Drain(); });
  for (int i = 1; i <= 3; ++i) {
    event.Add();
    RunTurns(2);
    pair.Send();
    RunUntil([&] { return event.calls.size() == static_cast<size_t>(2 * i - 1); });
    event.Delete();
    // As the library does it: close, and the next socket gets the lowest number.
    pair.ours.reset();
    pair.theirs.reset();
    pair.Open();
    ASSERT_EQ(pair.ours.get(), number);
  }
  EXPECT_EQ(event.calls, "r r r");
}

TEST_P(EventBaseTest, CallbacksNeverRunFromWithinACall) {
  Pair pair;
  pair.Send();
  Made event(base_, pair.ours.get(), kReadOn, [&pair](Made&, short) { pair.Drain(); });
  event.Add();  // ready at once
  EXPECT_EQ(event.calls, "");
  RunUntil([&] { return !event.calls.empty(); });
  EXPECT_EQ(event.calls, "r");
}

TEST_P(EventBaseTest, WhatWasAddedBeforeThereWasALoopFiresAfterwards) {
  Pair pair;
  EventBase early;
  Made event(early, pair.ours.get(), kRead, {});
  event.Add();
  Made timer(early, -1, UB_EV_TIMEOUT, {});
  timer.Add(absl::Milliseconds(1));
  Made deleted(early, -1, UB_EV_TIMEOUT, {});
  deleted.Add(absl::ZeroDuration());
  deleted.Delete();
  pair.Send();
  EXPECT_EQ(early.active_events(), 2u);
  early.Attach(*loop_);
  RunUntil([&] { return !event.calls.empty() && !timer.calls.empty(); });
  EXPECT_EQ(deleted.calls, "");
}

TEST(EventBase, WhatIsNotProvidedForIsRefused) {
  EventBase base;
  EXPECT_EQ(base.magic, static_cast<unsigned long>(UB_EVENT_MAGIC));
  EXPECT_EQ(base.vmt->new_signal(&base, 1, nullptr, nullptr), nullptr);
  EXPECT_EQ(base.vmt->dispatch(&base), -1);
}

}  // namespace
}  // namespace postern::resolvd
