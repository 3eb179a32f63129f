// daemons/master/master.h — starts the daemons, joins them, and keeps them running.
//
// master parses nothing that comes from strangers. It makes every socket pair; when a daemon dies
// it is started anew after a back-off and its neighbours get fresh ends. A reload is atomic: a
// configuration that is not wholly right changes nothing.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "common/io/scope.h"
#include "common/io/socket.h"
#include "common/ipc/protocol/admin.h"
#include "daemons/master/child.h"
#include "daemons/master/layout.h"

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
  // started us.
  absl::Status Prepare();
  // Runs until told to stop (SIGTERM, SIGINT).
  io::Task<absl::Status> Run();

 private:
  class ControlHandler;
  class AdminHandler;
  struct EdgePlan {
    protocol::control::EdgeKind kind;
    Child* a;
    Child* b;
  };

  // Configuration.
  absl::StatusOr<std::string> ReadConfigFile() const;
  protocol::control::Configuration ConfigurationFor(const Child& child) const;
  void Reload();
  io::Task<void> ReloadChild(Child& child);
  void ReopenLog();

  // Children.
  absl::Status PlanChildren();
  absl::Status Launch(Child& child);
  absl::Status StartChild(Child& child);
  absl::Status SendStart(Child& child,
                         std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>> ends);
  absl::Status JoinEdge(const EdgePlan& plan, Child& starting,
                        std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>>& ends);
  io::Task<void> RunControl(Child& child);
  void ReapChildren();
  void OnDied(Child& child, int status);
  io::Task<absl::Status> KeepRunning();
  io::Task<absl::Status> WatchHealth();
  io::Task<void> Ping(Child& child);
  bool AllReady() const;
  void OnReady(Child& child, const protocol::control::Ready& ready);

  // locald's wish for a `deliver`.
  absl::Status StartDeliver(Child& locald, uint32_t request, const std::string& user);

  // Stopping.
  io::Task<void> StopAll();
  io::Task<void> StopRoles(std::vector<protocol::control::Role> roles, io::Deadline until);

  // Signals and the operator's tool.
  io::Task<absl::Status> TakeSignals();
  io::Task<absl::Status> ServeAdmin();
  io::Task<void> RunAdmin(UniqueFd connection);
  protocol::admin::ProcessesListed ListProcesses() const;

  io::Loop& loop_;
  const Invocation invocation_;
  std::string toml_;
  config::Settings settings_;
  std::vector<protocol::control::Account> accounts_;
  std::vector<OpenListener> listeners_;
  std::vector<OpenListener> queue_sockets_;
  UniqueFd admin_socket_;
  UniqueFd log_;
  UniqueFd signals_;
  std::deque<Child> children_;
  std::vector<EdgePlan> edges_;
  std::deque<std::unique_ptr<Child>> delivers_;
  io::TaskScope controls_;
  io::TaskScope admins_;
  io::Event stop_;
  io::Event changed_;  // a child died, became ready, or is to be started
  bool stopping_ = false;
  bool announced_ = false;
  absl::Time started_;
};

}  // namespace postern::master
