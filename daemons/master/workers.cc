// More or fewer workers, while the others go on.
#include "common/log/log.h"
#include "daemons/master/master.h"

namespace postern::master {

using protocol::control::Role;

namespace {

// How long the clients of a surplus smtpd may go on; whoever is there still hears 421.
constexpr absl::Duration kDrainTime = absl::Minutes(10);

}  // namespace

void Master::ScaleWorkers() {
  Scale(Role::kSmtpd, static_cast<uint32_t>(now_.settings.smtp.workers));
  Scale(Role::kSmtpc, static_cast<uint32_t>(now_.settings.outbound.workers));
}

void Master::Scale(Role role, uint32_t wanted) {
  std::vector<bool> present(wanted);
  for (Child& child : children_) {
    if (child.role != role) continue;
    if (child.index >= wanted) {
      if (!child.surplus) Retire(child);
      continue;
    }
    // One that is on its way out comes back as a new process, at its end.
    present[child.index] = true;
    child.surplus = false;
  }
  for (uint32_t i = 0; i < wanted; ++i) {
    if (present[i]) continue;
    const absl::StatusOr<Child*> child = AddChild(role, i);
    if (!child.ok()) {
      log::Event(log::Severity::kError, log::kDaemonFailed)
          .Str("role", protocol::control::RoleName(role))
          .Error(child.status());
      return;
    }
  }
  changed_.Wake();  // what is to be started or forgotten is seen to there
}

// Nothing new reaches it; what it has in hand comes to its end.
void Master::Retire(Child& child) {
  child.surplus = true;
  if (child.state == Child::State::kDead || child.control == nullptr) return;
  log::Event(log::Severity::kInfo, log::kDaemonStopping)
      .Str("role", child.name)
      .Str("reason", "fewer workers");
  if (child.role != Role::kSmtpd) return StopOne(child, now_.settings.master.stop_timeout);
  for (const OpenListener& listener : listeners_.all()) {
    const protocol::control::ListenerGone gone{.name = listener.name};
    IgnoreStatus(child.control->Send(child.control->NewId(), gone), "it is dying anyway");
  }
  child.draining = true;
  child.drain_until = loop_.After(kDrainTime);
  drain_.Wake();
}

// After a ping told how many sessions it has.
void Master::StopIfDrained(Child& child) {
  if (!child.draining || child.state == Child::State::kStopping) return;
  if (child.sessions > 0 && loop_.Now() < child.drain_until) return;
  StopOne(child, now_.settings.master.stop_timeout);
}

}  // namespace postern::master
