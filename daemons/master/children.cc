// Starting the daemons, hearing from them, and starting anew those that died.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "common/log/log.h"
#include "daemons/master/master.h"

namespace postern::master {

using protocol::control::Role;

namespace {

// A daemon that ends in failure before it ever was ready cannot start: what it lacks does not come
// by waiting. Only what a killed server left may be just ending, so then it is tried so often.
constexpr uint32_t kStartAttemptsAfterCrash = 6;

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
      case protocol::control::kMapIds: {
        ASSIGN_OR_RETURN(const auto whose, ipc::DecodeFrame<protocol::control::MapIds>(frame));
        return master_.MapIds(child_, static_cast<pid_t>(whose.pid), std::move(frame.descriptor));
      }
      case protocol::control::kMoved: {
        ASSIGN_OR_RETURN(const auto moved, ipc::DecodeFrame<protocol::control::Moved>(frame));
        return master_.OnMoved(child_, static_cast<pid_t>(moved.pid), std::move(frame.descriptor));
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
  child.moved = false;
  child.confined = false;
  child.state = Child::State::kStarting;
  child.since = absl::Now();
  child.started_at = loop_.Now();
  child.last_pong = loop_.Now();
  child.draining = false;
  child.handler = std::make_unique<ControlHandler>(*this, child);
  child.control = std::make_unique<ipc::Channel>(loop_, std::move(spawned.control),
                                                 protocol::kControl, ipc::Side::kA);
  child.listening = true;
  controls_.Spawn(RunControl(child));
  return absl::OkStatus();
}

absl::Status Master::StartChild(Child& child) {
  RETURN_IF_ERROR(Launch(child));
  return SendStart(child, Join(child));
}

io::Task<void> Master::RunControl(Child& child) {
  const absl::Status ended = co_await child.control->Run(*child.handler);
  if (absl::IsDataLoss(ended)) {
    // It does not keep to the protocol: it may be in somebody's hands.
    log::Event(log::Severity::kError, log::kIncidentFrame)
        .Str("edge", "control")
        .Str("role", child.name)
        .Error(ended);
    if (child.pid > 0) ::kill(child.pid, SIGKILL);
  }
  child.listening = false;
  changed_.Wake();
}

void Master::OnReady(Child& child, const protocol::control::Ready& ready) {
  if (child.state == Child::State::kStarting)
    child.state = stopping_ ? Child::State::kStopping : Child::State::kReady;
  child.confined = true;
  child.backend = ready.backend;
  child.layers = ready.layers;
  child.last_pong = loop_.Now();
  log::Event(log::Severity::kInfo, log::kDaemonReady)
      .Str("role", child.name)
      .Int("child", child.pid)
      .Str("io", ready.backend)
      .Str("sandbox", ready.layers);
  changed_.Wake();
  if (!announced_ && !stopping_ && AllReady()) Announce();
}

bool Master::AllReady() const {
  return std::ranges::all_of(children_, [](const Child& child) {
    return child.surplus || child.state == Child::State::kReady;
  });
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
  const bool expected = clean && child.state == Child::State::kStopping;
  const bool never_ready = child.state == Child::State::kStarting;
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
  child.kill_at = io::Deadline::Never();
  if (child.control != nullptr) child.control->Close();
  changed_.Wake();
  if (stopping_ || child.surplus || child.role == Role::kDeliver) return;
  if (expected) {
    // It ended because we told it to; its successor takes over at once.
    child.restart_at = loop_.Now();
    return;
  }
  const absl::Duration delay = child.backoff.OnDeath(loop_.Now() - child.started_at,
                                                     now_.settings.master.restart_delay_longest);
  child.restart_at = loop_.After(delay);
  ++child.restarts;
  log::Event(log::Severity::kNotice, log::kDaemonRestarting)
      .Str("role", child.name)
      .Ms("delay", delay);
  if (!announced_ && never_ready && WIFEXITED(status) && !clean) GiveUpStarting(child, status);
}

// The server never came up, and will not.
void Master::GiveUpStarting(const Child& child, int status) {
  if (lock_.after_crash() && child.backoff.failures() < kStartAttemptsAfterCrash) return;
  if (!failed_start_.ok()) return;
  failed_start_ = FailedPrecondition(
      child.name, " cannot start (exit status ", WEXITSTATUS(status), "); the log says more",
      now_.settings.log.target == config::LogTarget::kFile ? ": " + now_.settings.log.file : "");
  stop_.Set();
}

// Starts what died, when its time has come.
io::Task<absl::Status> Master::KeepRunning() {
  for (;;) {
    const io::Deadline next = stopping_ ? io::Deadline::Never() : StartWhatIsDue();
    const absl::Status woken = co_await changed_.Wait(next);
    if (absl::IsCancelled(woken)) co_return woken;
    co_await io::YieldTurn();
  }
}

// When the next one is due.
io::Deadline Master::StartWhatIsDue() {
  io::Deadline next = io::Deadline::Never();
  for (auto at = children_.begin(); at != children_.end();) {
    Child& child = *at++;
    // As long as its channel's task runs, its end will wake us.
    if (child.state != Child::State::kDead || child.listening) continue;
    if (child.surplus) {
      children_.erase(std::prev(at));
      continue;
    }
    if (child.restart_at > loop_.Now()) {
      next = std::min(next, child.restart_at);
      continue;
    }
    if (const absl::Status started = StartChild(child); !started.ok()) {
      log::Event(log::Severity::kError, log::kDaemonFailed).Str("role", child.name).Error(started);
      if (child.pid > 0) {
        ::kill(child.pid, SIGKILL);
      } else {
        child.restart_at = loop_.After(now_.settings.master.restart_delay_longest);
        next = std::min(next, child.restart_at);
      }
    }
  }
  return next;
}

}  // namespace postern::master
