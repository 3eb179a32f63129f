// Whether the daemons still answer, and telling the service manager that master does.
#include <signal.h>

#include <algorithm>

#include "common/log/log.h"
#include "daemons/master/master.h"
#include "daemons/master/notify.h"

namespace postern::master {
namespace {

constexpr absl::Duration kPingInterval = absl::Seconds(10);
// While workers are on their way out: they are not to linger when their last client has gone.
constexpr absl::Duration kDrainPingInterval = absl::Seconds(1);
// A daemon that hangs for so long is ended; a disk may stall a queue manager for half a minute.
constexpr absl::Duration kHangAfter = absl::Seconds(120);
constexpr size_t kMaxCountersText = 900;  // octets, of 1024 in the protocol

}  // namespace

io::Task<absl::Status> Master::WatchHealth() {
  for (;;) {
    const bool draining =
        std::ranges::any_of(children_, [](const Child& child) { return child.draining; });
    const io::Deadline next = loop_.After(draining ? kDrainPingInterval : kPingInterval);
    const absl::Status woken = co_await drain_.Wait(next);
    if (absl::IsCancelled(woken)) co_return woken;
    if (stopping_) continue;
    io::TaskScope pings;
    for (Child& child : children_) {
      EndIfHanging(child);
      if (child.state == Child::State::kReady) pings.Spawn(Ping(child));
    }
    for (const std::unique_ptr<Child>& deliver : delivers_) EndIfHanging(*deliver);
    co_await pings.Join();
    if (!stopping_) ForgetDelivers();
  }
}

// Of its own: no daemon that hangs may make it look as if master did.
io::Task<absl::Status> Master::TellWatchdog() {
  const absl::Duration interval = WatchdogInterval();
  if (interval == absl::ZeroDuration()) co_return absl::OkStatus();
  for (;;) {
    Notify("WATCHDOG=1");
    CO_RETURN_IF_ERROR(co_await io::Sleep(loop_.After(interval)));
  }
}

void Master::EndIfHanging(Child& child) {
  if (child.pid <= 0) return;
  const bool starting = child.state == Child::State::kStarting;
  const bool ready = child.state == Child::State::kReady;
  const bool silent = (ready && loop_.Now() - child.last_pong > kHangAfter) ||
                      (starting && loop_.Now() - child.started_at > kHangAfter);
  const bool late = child.state == Child::State::kStopping && loop_.Now() > child.kill_at;
  if (!silent && !late) return;
  log::Event(log::Severity::kError, log::kDaemonFailed)
      .Str("role", child.name)
      .Str("reason", late ? "did not stop in time: ended" : "hangs: ended");
  ::kill(child.pid, SIGKILL);
}

io::Task<void> Master::Ping(Child& child) {
  ipc::Channel* control = child.control.get();
  if (control == nullptr || !control->open()) co_return;
  const pid_t pid = child.pid;
  const auto pong = co_await control->Call<protocol::control::Pong>(protocol::control::Ping{},
                                                                    loop_.After(kPingInterval / 2));
  // First: one that went away may be forgotten by now.
  if (!pong.ok() || child.pid != pid) co_return;
  child.last_pong = loop_.Now();
  child.counters.clear();
  for (const protocol::control::Counter& counter : pong->counters) {
    if (counter.name == "sessions") child.sessions = counter.value;
    if (child.counters.size() > kMaxCountersText) break;
    child.counters += StrCat(child.counters.empty() ? "" : " ", counter.name, "=", counter.value);
  }
  StopIfDrained(child);
}

}  // namespace postern::master
