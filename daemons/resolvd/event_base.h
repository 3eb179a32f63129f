// daemons/resolvd/event_base.h — libunbound's events on our loop.
//
// libunbound asks for readiness and for time through a table of functions (unbound-event.h). A
// readiness becomes a poll operation of the loop, a time a timer of it. Three things it does need
// care:
//   * It deletes and frees events inside their own callbacks, and while the kernel still polls for
//     them. So an operation lives by itself until its completion, and then finds that its event is
//     gone.
//   * It closes descriptors by itself, right after deleting their event: the loop forgets them
//   then.
//   * It adds events from within callbacks. Callbacks run only from the loop, never from within a
//     call of the library, so none is entered twice.
//
// The context must be finalised before the process is confined, which is before there is a loop:
// until Attach, events are only noted.
#pragma once

#include <unbound-event.h>

#include <memory>

#include "common/io/list.h"
#include "common/io/loop.h"

namespace postern::resolvd {

class EventBase final : public ub_event_base {
 public:
  EventBase();
  ~EventBase();
  EventBase(const EventBase&) = delete;

  // From here on events fire. `loop` must outlive the base, and run until operations that were
  // under way when the base died have ended.
  void Attach(io::Loop& loop);

  // Events with something to wait for, for tests and counters.
  size_t active_events() const { return active_events_; }

 private:
  class Event;
  class Poll;
  class Wakeup;

  io::Loop* loop_ = nullptr;
  io::ListNode active_;  // events added
  io::ListNode ready_;   // events whose callback is due
  size_t active_events_ = 0;
  std::unique_ptr<Wakeup> wakeup_;
};

}  // namespace postern::resolvd
