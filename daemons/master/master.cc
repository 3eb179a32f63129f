#include "daemons/master/master.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/io/file.h"
#include "common/log/log.h"

namespace postern::master {

Master::Master(io::Loop& loop, Invocation invocation)
    : loop_(loop), invocation_(std::move(invocation)) {}
Master::~Master() = default;
io::Task<absl::Status> Master::Run() {
  started_ = absl::Now();
  log::Event(log::Severity::kInfo, log::kConfigLoaded).Str("file", invocation_.config_file);
  for (Child& child : children_) CO_RETURN_IF_ERROR(StartChild(child));
  io::TaskScope work;
  work.Spawn(TakeSignals());
  work.Spawn(KeepRunning());
  work.Spawn(WatchHealth());
  work.Spawn(ServeAdmin());
  IgnoreStatus(co_await stop_.Wait(io::Deadline::Never()), "stopping either way");
  co_await StopAll();
  work.RequestStop();
  admins_.RequestStop();
  const absl::Status ended = co_await work.JoinOrCancel();
  co_await admins_.Join();
  co_await controls_.Join();
  co_await io::YieldTurn();
  for (Child& child : children_) child.control.reset();
  delivers_.clear();
  if (invocation_.instance) ::unlink((settings_.root + "/postern.pid").c_str());
  log::Event(log::Severity::kInfo, log::kDaemonStopped).Str("role", "master");
  co_return ended;
}

io::Task<absl::Status> Master::TakeSignals() {
  for (;;) {
    CO_RETURN_IF_ERROR(
        (co_await io::Poll(loop_, signals_.get(), POLLIN, io::Deadline::Never())).status());
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      switch (info.ssi_signo) {
        case SIGCHLD:
          ReapChildren();
          break;
        case SIGHUP:
          Reload();
          break;
        default:
          log::Event(log::Severity::kInfo, log::kDaemonStopping)
              .Str("reason", info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
          stop_.Set();
          break;
      }
    }
  }
}

}  // namespace postern::master
