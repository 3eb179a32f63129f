// Starting the daemons, hearing from them, and starting anew those that died.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "common/log/log.h"
#include "daemons/master/master.h"
#include "daemons/master/notify.h"

namespace postern::master {

using protocol::control::Role;

namespace {

constexpr absl::Duration kFirstRestartDelay = absl::Milliseconds(100);
// A daemon that ran so long had no failing start: the back-off begins anew.
constexpr absl::Duration kStableAfter = absl::Seconds(60);

}  // namespace

// What a daemon says on its control channel.
class Master::ControlHandler final : public ipc::FrameHandler {
 public:
  ControlHandler(Master& master, Child& child) : master_(master), child_(child) {}

  absl::Status OnFrame(ipc::Frame& frame) override {
    switch (frame.type) {
      case protocol::control::kReady: {
        ASSIGN_OR_RETURN(const auto ready, ipc::DecodeFrame<protocol::control::Ready>(frame));
        master_.OnReady(child_, ready);
        return absl::OkStatus();
      }
      case protocol::control::kWantDeliver: {
        ASSIGN_OR_RETURN(const auto want, ipc::DecodeFrame<protocol::control::WantDeliver>(frame));
        // Nobody else may have a process as some user.
        if (child_.role != Role::kLocald)
          return DataLoss("control: only locald may ask for a delivery process");
        return master_.StartDeliver(child_, frame.id, want.user);
      }
      default:
        return DataLoss("control: unexpected message type ", int{frame.type});
    }
  }

 private:
  Master& master_;
  Child& child_;
};

absl::Status Master::Launch(Child& child) {
  ASSIGN_OR_RETURN(const std::string program, ProgramOf(child.role));
  ASSIGN_OR_RETURN(Spawned spawned, Spawn(program));
  child.pid = spawned.pid;
  child.state = Child::State::kStarting;
  child.since = absl::Now();
  child.last_pong = loop_.Now();
  child.handler = std::make_unique<ControlHandler>(*this, child);
  child.control = std::make_unique<ipc::Channel>(loop_, std::move(spawned.control),
                                                 protocol::kControl, ipc::Side::kA);
  return absl::OkStatus();
}

absl::Status Master::StartChild(Child& child) {
  RETURN_IF_ERROR(Launch(child));
  std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>> ends;
  for (const EdgePlan& plan : edges_) {
    if (plan.a == &child || plan.b == &child) RETURN_IF_ERROR(JoinEdge(plan, child, ends));
  }
  RETURN_IF_ERROR(SendStart(child, std::move(ends)));
  controls_.Spawn(RunControl(child));
  return absl::OkStatus();
}
io::Task<void> Master::RunControl(Child& child) {
  ipc::Channel* control = child.control.get();
  const absl::Status ended = co_await control->Run(*child.handler);
  if (absl::IsDataLoss(ended)) {
    // It does not keep to the protocol: it may be in somebody's hands.
    log::Event(log::Severity::kError, log::kIncidentFrame)
        .Str("edge", "control")
        .Str("role", child.name)
        .Error(ended);
    if (child.pid > 0) ::kill(child.pid, SIGKILL);
  }
}

void Master::OnReady(Child& child, const protocol::control::Ready& ready) {
  child.state = stopping_ ? Child::State::kStopping : Child::State::kReady;
  child.backend = ready.backend;
  child.layers = ready.layers;
  child.last_pong = loop_.Now();
  log::Event(log::Severity::kInfo, log::kDaemonReady)
      .Str("role", child.name)
      .Int("child", child.pid)
      .Str("io", ready.backend)
      .Str("sandbox", ready.layers);
  changed_.Wake();
  if (announced_ || !AllReady()) return;
  announced_ = true;
  if (invocation_.instance) {
    std::ofstream(settings_.root + "/postern.pid") << ::getpid() << '\n';
    if (::write(STDOUT_FILENO, "ready\n", 6) < 0) {
      // Nobody reads: whoever started us does not wait for it.
    }
  }
  Notify("READY=1");
  std::string names;
  for (const OpenListener& listener : listeners_)
    names += (names.empty() ? "" : " ") + listener.name;
  log::Event(log::Severity::kInfo, log::kServerReady).Str("listeners", names);
}

bool Master::AllReady() const {
  return std::all_of(children_.begin(), children_.end(),
                     [](const Child& child) { return child.state == Child::State::kReady; });
}
void Master::ReapChildren() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    for (Child& child : children_) {
      if (child.pid == pid) OnDied(child, status);
    }
    for (const std::unique_ptr<Child>& deliver : delivers_) {
      if (deliver->pid == pid) OnDied(*deliver, status);
    }
  }
}

void Master::OnDied(Child& child, int status) {
  const bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!clean) {
    log::Event event(log::Severity::kError, WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS
                                                ? log::kIncidentSandbox
                                                : log::kDaemonDied);
    event.Str("role", child.name).Int("child", child.pid);
    if (WIFSIGNALED(status)) event.Str("signal", ::sigabbrev_np(WTERMSIG(status)));
    if (WIFEXITED(status)) event.Int("status", WEXITSTATUS(status));
  }
  child.pid = 0;
  child.state = Child::State::kDead;
  child.counters.clear();
  if (child.control != nullptr) child.control->Close();
  if (absl::Now() - child.since > kStableAfter) child.failures = 0;
  absl::Duration delay =
      kFirstRestartDelay * (int64_t{1} << std::min<uint32_t>(child.failures, 16));
  delay = std::min(delay, settings_.master.restart_delay_longest);
  ++child.failures;
  child.restart_at = loop_.After(delay);
  if (!stopping_ && child.role != Role::kDeliver) {
    log::Event(log::Severity::kNotice, log::kDaemonRestarting)
        .Str("role", child.name)
        .Ms("delay", delay);
  }
  changed_.Wake();
}

// Starts what died, when its time has come.
io::Task<absl::Status> Master::KeepRunning() {
  for (;;) {
    io::Deadline next = io::Deadline::Never();
    if (!stopping_) {
      for (Child& child : children_) {
        if (child.state != Child::State::kDead) continue;
        if (child.restart_at > loop_.Now()) {
          next = std::min(next, child.restart_at);
          continue;
        }
        // The old channel's task has returned by now: a turn has passed since Close.
        child.control.reset();
        ++child.restarts;
        if (const absl::Status started = StartChild(child); !started.ok()) {
          log::Event(log::Severity::kError, log::kDaemonFailed)
              .Str("role", child.name)
              .Error(started);
          if (child.pid > 0) ::kill(child.pid, SIGKILL);
          if (child.pid == 0)
            child.restart_at = loop_.After(settings_.master.restart_delay_longest);
        }
      }
    }
    const absl::Status woken = co_await changed_.Wait(next);
    if (absl::IsCancelled(woken)) co_return woken;
    co_await io::YieldTurn();
  }
}

}  // namespace postern::master
