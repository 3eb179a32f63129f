#include "daemons/resolvd/event_base.h"

#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace postern::resolvd {
namespace {

absl::Duration ToDuration(const timeval& time) { return absl::DurationFromTimeval(time); }

}  // namespace

// One poll the kernel knows of. It deletes itself when it completes.
class EventBase::Poll final : public io::Operation {
 public:
  Poll(Event& owner, int on_fd, short direction) : Operation(io::OpCode::kPoll), owner_(&owner) {
    fd = on_fd;
    flags = direction == UB_EV_READ ? POLLIN : POLLOUT;
  }

  // Begins, or is gone already and returns true: the descriptor is ready (or broken, which reading
  // will say).
  bool Begin(io::Loop& on_loop) {
    int result;
    if (!on_loop.Start(*this, &result)) return false;
    delete this;
    return true;
  }
  void Drop() {
    owner_ = nullptr;
    loop->Cancel(*this, Ended::kStop);
  }
  void OnCompletion(int result, uint32_t buffer_id, bool more) override;

 private:
  Event* owner_;
};

// What libunbound calls an event: a descriptor's readiness, a time, or both.
class EventBase::Event final : public ub_event, private io::Operation {
 public:
  using Callback = void (*)(int, short, void*);

  Event(EventBase& base, int on_fd, short bits, Callback callback, void* argument)
      : ub_event{.magic = UB_EVENT_MAGIC, .vmt = &kTable},
        Operation(io::OpCode::kWait),
        base_(base),
        callback_(callback),
        argument_(argument),
        bits_(bits),
        fd_(on_fd) {}
  ~Event() override {
    Deactivate();
    if (gone_ != nullptr) *gone_ = true;
  }

  int Add(const timeval* timeout) {
    Deactivate();
    active_ = true;
    has_timeout_ = timeout != nullptr;
    if (has_timeout_) timeout_ = ToDuration(*timeout);
    active_link_.LinkBefore(base_.active_);
    ++base_.active_events_;
    if (base_.loop_ != nullptr) Arm();
    return 0;
  }

  void Deactivate() {
    if (!active_) return;
    active_ = false;
    --base_.active_events_;
    active_link_.Unlink();
    ready_link_.Unlink();
    fired_ = 0;
    StopTimer();
    for (Poll** poll : {&read_, &write_}) {
      if (*poll != nullptr) (*poll)->Drop();
      *poll = nullptr;
    }
    if (base_.loop_ != nullptr && fd_ >= 0) base_.loop_->Forget(fd_);
  }

  // Starts whatever it waits for and is not under way.
  void Arm() {
    if ((bits_ & UB_EV_READ) != 0) StartPoll(read_, UB_EV_READ);
    if ((bits_ & UB_EV_WRITE) != 0) StartPoll(write_, UB_EV_WRITE);
    if (has_timeout_ && !started) StartTimer();
  }

  void OnPolled(const Poll& poll) {
    const bool reading = &poll == read_;
    (reading ? read_ : write_) = nullptr;
    NoteReady(reading ? UB_EV_READ : UB_EV_WRITE);
  }

  // Runs the callback for what was noted. The event may be freed in it.
  void Fire(short what) {
    if ((bits_ & UB_EV_PERSIST) == 0) Deactivate();
    bool gone = false;
    bool* const outer = std::exchange(gone_, &gone);
    CHECK(outer == nullptr);  // never entered twice
    callback_(fd_, what, argument_);
    if (gone) return;
    gone_ = nullptr;
    if (!active_) return;
    StopTimer();  // of an event that persists, time counts from its last sign of life
    Arm();
  }
  void FireReady() {
    ready_link_.Unlink();
    Fire(std::exchange(fired_, short{0}));
  }

  static Event& From(ub_event* event) { return *static_cast<Event*>(event); }
  static Event& FromReady(io::ListNode* node) { return *static_cast<Link*>(node)->event; }

 private:
  friend class EventBase;
  struct Link : io::ListNode {
    explicit Link(Event* owner) : event(owner) {}
    Event* const event;
  };

  void StartPoll(Poll*& slot, short direction) {
    if (slot != nullptr || (fired_ & direction) != 0) return;
    slot = new Poll(*this, fd_, direction);
    if (!slot->Begin(*base_.loop_)) return;
    slot = nullptr;
    NoteReady(direction);
  }
  void NoteReady(short direction);

  void StartTimer() {
    int unused;
    CHECK(!base_.loop_->Start(*this, &unused));
    // Never in this turn: a timer of no time that adds itself anew must not hold the loop up.
    const io::Deadline soonest = base_.loop_->After(absl::Nanoseconds(1));
    base_.loop_->AddTimer(*this, std::max(base_.loop_->After(timeout_), soonest));
  }
  void StopTimer() {
    if (!started) return;
    base_.loop_->RemoveTimer(*this);
    base_.loop_->Cancel(*this, Ended::kStop);
  }
  void OnCompletion(int, uint32_t, bool) override {
    if (cancelled_by == Ended::kDeadline) Fire(UB_EV_TIMEOUT);
  }

  static void AddBits(ub_event* event, short bits) {
    From(event).bits_ = static_cast<short>(From(event).bits_ | bits);
  }
  static void DeleteBits(ub_event* event, short bits) {
    From(event).bits_ = static_cast<short>(From(event).bits_ & ~bits);
  }
  static void SetFd(ub_event* event, int on_fd) { From(event).fd_ = on_fd; }
  static void Free(ub_event* event) { delete &From(event); }
  static int AddEvent(ub_event* event, timeval* timeout) { return From(event).Add(timeout); }
  static int DeleteEvent(ub_event* event) {
    From(event).Deactivate();
    return 0;
  }
  static int AddTimerEvent(ub_event* event, ub_event_base*, Callback callback, void* argument,
                           timeval* timeout) {
    From(event).callback_ = callback;
    From(event).argument_ = argument;
    return From(event).Add(timeout);
  }
  static int AddSignal(ub_event*, timeval*) { return -1; }
  static int DeleteSignal(ub_event*) { return -1; }
  static void IgnoreSocket(ub_event*) {}
  static void IgnoreBlock(ub_event*, int) {}

  static ub_event_vmt kTable;

  EventBase& base_;
  Callback callback_;
  void* argument_;
  short bits_;
  short fired_ = 0;  // what the callback will be told
  int fd_;
  bool active_ = false;
  bool has_timeout_ = false;
  absl::Duration timeout_;
  Poll* read_ = nullptr;
  Poll* write_ = nullptr;
  bool* gone_ = nullptr;  // set while the callback runs
  Link active_link_{this};
  Link ready_link_{this};
};

ub_event_vmt EventBase::Event::kTable = {
    .add_bits = AddBits,
    .del_bits = DeleteBits,
    .set_fd = SetFd,
    .free = Free,
    .add = AddEvent,
    .del = DeleteEvent,
    .add_timer = AddTimerEvent,
    .del_timer = DeleteEvent,
    .add_signal = AddSignal,
    .del_signal = DeleteSignal,
    .winsock_unregister_wsaevent = IgnoreSocket,
    .winsock_tcp_wouldblock = IgnoreBlock,
};

// Runs the callbacks that are due, from the loop's timers: neither from within the library nor from
// within the backend.
class EventBase::Wakeup final : public io::Operation {
 public:
  explicit Wakeup(EventBase& base) : Operation(io::OpCode::kWait), base_(base) {}

  void Request(io::Loop& on_loop) {
    if (started) return;
    int unused;
    CHECK(!on_loop.Start(*this, &unused));
    on_loop.AddTimer(*this, on_loop.After(absl::Nanoseconds(1)));
  }
  void Stop() {
    if (!started) return;
    loop->RemoveTimer(*this);
    loop->Cancel(*this, Ended::kStop);
  }
  void OnCompletion(int, uint32_t, bool) override {
    if (cancelled_by != Ended::kDeadline) return;
    // What becomes ready meanwhile has to wait for the next turn.
    io::ListNode end;
    end.LinkBefore(base_.ready_);
    while (base_.ready_.next() != &end) Event::FromReady(base_.ready_.next()).FireReady();
    end.Unlink();
    if (base_.ready_.linked()) Request(*base_.loop_);
  }

 private:
  EventBase& base_;
};

void EventBase::Event::NoteReady(short direction) {
  fired_ = static_cast<short>(fired_ | direction);
  if (!ready_link_.linked()) ready_link_.LinkBefore(base_.ready_);
  base_.wakeup_->Request(*base_.loop_);
}

void EventBase::Poll::OnCompletion(int, uint32_t, bool) {
  if (owner_ != nullptr) owner_->OnPolled(*this);
  delete this;
}

namespace {

void FreeBase(ub_event_base*) {}
int Dispatch(ub_event_base*) { return -1; }
int LoopExit(ub_event_base*, timeval*) { return 0; }
ub_event* NewSignal(ub_event_base*, int, void (*)(int, short, void*), void*) { return nullptr; }
ub_event* NewSocket(ub_event_base*, void*, void (*)(int, short, void*), void*) { return nullptr; }

}  // namespace

EventBase::EventBase() : wakeup_(std::make_unique<Wakeup>(*this)) {
  static ub_event_base_vmt table = {
      .free = FreeBase,
      .dispatch = Dispatch,
      .loopexit = LoopExit,
      .new_event = [](ub_event_base* base, int fd, short bits, void (*callback)(int, short, void*),
                      void* argument) -> ub_event* {
        return new Event(*static_cast<EventBase*>(base), fd, bits, callback, argument);
      },
      .new_signal = NewSignal,
      .winsock_register_wsaevent = NewSocket,
  };
  magic = UB_EVENT_MAGIC;
  vmt = &table;
}

EventBase::~EventBase() {
  wakeup_->Stop();
  CHECK(active_events_ == 0);  // the library was ended first, and frees its events then
}

void EventBase::Attach(io::Loop& loop) {
  CHECK(loop_ == nullptr);
  loop_ = &loop;
  for (io::ListNode* node = active_.next(); node != &active_; node = node->next())
    Event::FromReady(node).Arm();
}

}  // namespace postern::resolvd
