// How master ends: in an order, within a time.
#include <signal.h>

#include <algorithm>

#include "common/log/log.h"
#include "daemons/master/master.h"
#include "daemons/master/notify.h"

namespace postern::master {

using protocol::control::Role;

namespace {

// More than they were given: they end by themselves then.
constexpr absl::Duration kGrace = absl::Seconds(2);

}  // namespace

// In an order that lets each finish with the help of those behind it: first nothing new comes in,
// then what is under way goes out, then the queue commits.
io::Task<void> Master::StopAll() {
  stopping_ = true;
  Notify("STOPPING=1");
  const io::Deadline until = loop_.After(now_.settings.master.stop_timeout);
  co_await StopRoles({Role::kSmtpd}, until);
  co_await StopRoles({Role::kSmtpc, Role::kLocald, Role::kBounced}, until);
  co_await StopRoles({Role::kDeliver}, until);
  co_await StopRoles({Role::kQmgr}, std::max(until, loop_.After(absl::Seconds(5))));
  co_await StopRoles({Role::kPolicyd, Role::kResolvd},
                     std::max(until, loop_.After(absl::Seconds(1))));
}

// One of them, while the others go on.
void Master::StopOne(Child& child, absl::Duration within) {
  child.state = Child::State::kStopping;
  child.kill_at = loop_.After(within + kGrace);
  if (child.control == nullptr || !child.control->open()) return;
  const protocol::control::Stop stop{.within_ms =
                                         static_cast<uint32_t>(absl::ToInt64Milliseconds(within))};
  IgnoreStatus(child.control->Send(child.control->NewId(), stop), "one that is gone needs no word");
}

io::Task<void> Master::StopRoles(std::vector<Role> roles, io::Deadline until) {
  std::vector<Child*> stopping;
  const auto consider = [&](Child& child) {
    if (child.pid > 0 && std::find(roles.begin(), roles.end(), child.role) != roles.end())
      stopping.push_back(&child);
  };
  for (Child& child : children_) consider(child);
  for (const std::unique_ptr<Child>& deliver : delivers_) consider(*deliver);
  const absl::Duration within =
      std::clamp(until - loop_.Now(), absl::ZeroDuration(), absl::Duration(absl::Hours(1)));
  for (Child* child : stopping) StopOne(*child, within);
  const auto running = [&] {
    return std::any_of(stopping.begin(), stopping.end(),
                       [](const Child* child) { return child->pid > 0; });
  };
  const io::Deadline last = until + kGrace;
  while (running()) {
    const absl::Status woken = co_await changed_.Wait(last);
    if (!woken.ok()) break;
  }
  for (Child* child : stopping) {
    if (child->pid <= 0) continue;
    log::Event(log::Severity::kWarning, log::kDaemonFailed)
        .Str("role", child->name)
        .Str("reason", "did not stop in time: ended");
    ::kill(child->pid, SIGKILL);
  }
  while (running()) {
    if (!(co_await changed_.Wait(loop_.After(absl::Seconds(5)))).ok()) break;
  }
}

}  // namespace postern::master
