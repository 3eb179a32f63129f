// daemons/master/master.h — starts the daemons, joins them, and keeps them running.
//
// master parses nothing that comes from strangers. It makes every socket pair; when a daemon dies
// it is started anew after a back-off and its neighbours get fresh ends. A reload is atomic: a
// configuration that is not wholly right changes nothing.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "common/io/listener.h"
#include "common/io/scope.h"
#include "common/io/socket.h"
#include "common/ipc/protocol/admin.h"
#include "common/service/instance_lock.h"
#include "daemons/master/child.h"
#include "daemons/master/layout.h"
#include "daemons/master/listening.h"

namespace postern::master {

struct Invocation {
  std::string config_file;  // absolute
  bool instance = false;    // print "ready", write <root>/postern.pid
};

class Master {
 public:
  Master(io::Loop& loop, Invocation invocation);
  ~Master();

  // Everything up to the listeners, before anything is started. Errors are for the person who
  // started us; several problems of the configuration are a line each.
  absl::Status Prepare();
  // Runs until told to stop (SIGTERM, SIGINT). An error: the server never came up, and why.
  io::Task<absl::Status> Run();

 private:
  class ControlHandler;
  class AdminHandler;
  using Ends = std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>>;
  // A configuration that is wholly right.
  struct Loaded {
    std::string toml;
    config::Settings settings;
    std::vector<protocol::control::Account> accounts;
  };

  // Start-up (startup.cc).
  absl::StatusOr<Loaded> Load() const;
  absl::Status OpenAll();
  absl::Status PlanChildren();
  absl::Status CheckPrograms() const;
  absl::StatusOr<Child*> AddChild(protocol::control::Role role, uint32_t index);
  void Announce();

  // The daemons (children.cc).
  absl::Status Launch(Child& child);
  absl::Status StartChild(Child& child);
  io::Task<void> RunControl(Child& child);
  void OnReady(Child& child, const protocol::control::Ready& ready);
  void ReapChildren();
  void OnDied(Child& child, int status);
  void GiveUpStarting(const Child& child, int status);
  io::Task<absl::Status> KeepRunning();
  io::Deadline StartWhatIsDue();
  bool AllReady() const;

  // Daemons on their way into namespaces (confining.cc).
  absl::Status CheckStillEntering(const Child& child) const;
  absl::Status MapIds(Child& child, pid_t pid, UniqueFd answer);
  absl::Status OnMoved(Child& child, pid_t pid, UniqueFd answer);

  // What a daemon gets (joining.cc).
  absl::Status SendStart(Child& child, Ends ends);
  protocol::control::Configuration ConfigurationFor(const Child& child) const;
  Ends Join(Child& starting);
  void SendLog(Child& child);

  // A `deliver` for locald (delivering.cc).
  absl::Status StartDeliver(Child& locald, uint32_t request, const std::string& user);
  void ForgetDelivers();

  // Reload (reload.cc) and the number of workers (workers.cc).
  io::Task<protocol::admin::Reloaded> Reload();
  absl::StatusOr<std::vector<std::string>> TakeConfiguration();
  io::Task<void> ReloadOnSignal();
  io::Task<std::vector<std::string>> ReloadChildren();
  io::Task<void> ReloadChild(Child& child, std::vector<std::string>& failures);
  void TellListener(const OpenListener& listener);
  void TellListenerGone(const std::string& name);
  void ScaleWorkers();
  void Scale(protocol::control::Role role, uint32_t wanted);
  void Retire(Child& child);
  void StopIfDrained(Child& child);

  // Whether they answer (health.cc).
  io::Task<absl::Status> WatchHealth();
  io::Task<absl::Status> TellWatchdog();
  io::Task<void> Ping(Child& child);
  void EndIfHanging(Child& child);

  // Stopping (stopping.cc).
  io::Task<void> StopAll();
  io::Task<void> StopRoles(std::vector<protocol::control::Role> roles, io::Deadline until);
  void StopOne(Child& child, absl::Duration within);

  // Signals (master.cc) and the operator's tool (admin.cc).
  void RemoveFiles();
  io::Task<absl::Status> TakeSignals();
  io::Task<absl::Status> ServeAdmin();
  io::Task<void> RunAdmin(UniqueFd connection);
  protocol::admin::ProcessesListed ListProcesses() const;

  io::Loop& loop_;
  const Invocation invocation_;
  service::InstanceLock lock_;
  Loaded now_;
  Loaded started_;  // settings that need a restart are taken from here
  Listeners listeners_;
  std::vector<OpenListener> queue_sockets_;
  UniqueFd admin_socket_;
  UniqueFd log_;
  UniqueFd signals_;
  std::list<Child> children_;
  std::map<std::string, uint8_t> origins_;  // by name: a worker that comes again has the same
  std::deque<std::unique_ptr<Child>> delivers_;
  io::TaskScope controls_;
  io::TaskScope admins_;
  io::TaskScope asides_;  // reloads by signal, a ping in between
  io::Event stop_;
  io::Event changed_;  // a child died, became ready, or is to be started
  io::Event reload_ended_;
  io::Event drain_;  // a worker is on its way out
  bool reloading_ = false;
  bool stopping_ = false;
  bool announced_ = false;
  absl::Status failed_start_;
  absl::Time since_;
};

}  // namespace postern::master
