// Whether the daemons still answer, and telling the service manager that master does.
#include <signal.h>

#include "common/log/log.h"
#include "daemons/master/master.h"
#include "daemons/master/notify.h"

namespace postern::master {
namespace {

constexpr absl::Duration kPingInterval = absl::Seconds(10);
// A daemon that hangs for so long is ended; a disk may stall a queue manager for half a minute.
constexpr absl::Duration kHangAfter = absl::Seconds(120);

}  // namespace

io::Task<absl::Status> Master::WatchHealth() {
  const absl::Duration watchdog = WatchdogInterval();
  const absl::Duration interval =
      watchdog > absl::ZeroDuration() ? std::min(watchdog, kPingInterval) : kPingInterval;
  for (;;) {
    CO_RETURN_IF_ERROR(co_await io::Sleep(loop_.After(interval)));
    io::TaskScope pings;
    for (Child& child : children_) {
      if (child.state != Child::State::kReady) continue;
      if (loop_.Now() - child.last_pong > kHangAfter) {
        log::Event(log::Severity::kError, log::kDaemonFailed)
            .Str("role", child.name)
            .Str("reason", "hangs: ended");
        ::kill(child.pid, SIGKILL);
        continue;
      }
      pings.Spawn(Ping(child));
    }
    co_await pings.Join();
    if (watchdog > absl::ZeroDuration()) Notify("WATCHDOG=1");
    // Deliveries that ended: their records go once their channel's task is over.
    for (size_t i = 0; i < delivers_.size();) {
      Child& deliver = *delivers_[i];
      if (deliver.state == Child::State::kDead && deliver.restart_at <= loop_.Now()) {
        delivers_.erase(delivers_.begin() + static_cast<ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }
}

io::Task<void> Master::Ping(Child& child) {
  ipc::Channel* control = child.control.get();
  if (control == nullptr || !control->open()) co_return;
  const pid_t pid = child.pid;
  const auto pong = co_await control->Call<protocol::control::Pong>(protocol::control::Ping{},
                                                                    loop_.After(kPingInterval / 2));
  if (!pong.ok() || child.pid != pid) co_return;
  child.last_pong = loop_.Now();
  child.counters.clear();
  for (const protocol::control::Counter& counter : pong->counters) {
    if (child.counters.size() > 900) break;
    child.counters += StrCat(child.counters.empty() ? "" : " ", counter.name, "=", counter.value);
  }
}

}  // namespace postern::master
