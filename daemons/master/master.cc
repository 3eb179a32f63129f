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
Master::~Master() { lock_.Release(); }

io::Task<absl::Status> Master::Run() {
  since_ = absl::Now();
  log::Event(log::Severity::kInfo, log::kConfigLoaded).Str("file", invocation_.config_file);
  io::TaskScope work;
  work.Spawn(TakeSignals());
  work.Spawn(KeepRunning());  // starts them all: each is one that does not run yet
  work.Spawn(WatchHealth());
  work.Spawn(TellWatchdog());
  work.Spawn(ServeAdmin());
  IgnoreStatus(co_await stop_.Wait(io::Deadline::Never()), "stopping either way");
  co_await StopAll();
  for (io::TaskScope* scope : {&work, &admins_, &asides_}) scope->RequestStop();
  const absl::Status ended = co_await work.JoinOrCancel();
  co_await admins_.Join();
  co_await asides_.Join();
  co_await controls_.Join();
  co_await io::YieldTurn();
  for (Child& child : children_) child.control.reset();
  delivers_.clear();
  RemoveFiles();
  log::Event(log::Severity::kInfo, log::kDaemonStopped).Str("role", "master");
  co_return failed_start_.ok() ? ended : failed_start_;
}

// At the end: what would make it look as if we still ran.
void Master::RemoveFiles() {
  listeners_.Close();
  ::unlink((now_.settings.run_directory + "/master.sock").c_str());
  for (const OpenListener& socket : queue_sockets_) ::unlink(socket.name.c_str());
  if (invocation_.instance) ::unlink((now_.settings.root + "/postern.pid").c_str());
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
          asides_.Spawn(ReloadOnSignal());
          break;
        default:
          if (stop_.is_set()) break;  // said once is enough: it has a time
          log::Event(log::Severity::kInfo, log::kDaemonStopping)
              .Str("reason", info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
          stop_.Set();
          break;
      }
    }
  }
}

}  // namespace postern::master
