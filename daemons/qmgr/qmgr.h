// daemons/qmgr/qmgr.h — the queue manager's process: one shard of the queue.
#pragma once

#include <sys/types.h>

#include <memory>
#include <vector>

#include "common/service/service.h"
#include "daemons/qmgr/admin.h"
#include "daemons/qmgr/dispatch.h"
#include "daemons/qmgr/intake.h"
#include "daemons/qmgr/notices.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

class Qmgr final : public service::Daemon {
 public:
  Qmgr(service::Service& service, Disk& disk, uid_t owner_uid);

  void OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) override;
  void OnListener(const protocol::control::ListenerEnd& which, UniqueFd end) override;
  void OnReload() override { queue_.OnSettings(service_.settings()); }
  void OnStop(io::Deadline until) override;
  io::Task<absl::Status> Serve() override;
  void Count(std::vector<protocol::control::Counter>& counters) override;

 private:
  void Attach(const protocol::control::EdgeEnd& which, UniqueFd end);
  io::Task<absl::Status> RunStore();

  service::Service& service_;
  Queue queue_;
  Admin admin_;
  IntakeTotals totals_;
  io::TaskScope work_;  // commits, jobs being handed out
  io::TaskScope edges_;
  io::TaskScope background_;
  io::TaskScope store_;
  Dispatch dispatch_;
  Notices notices_;
  service::PeerGroup smtpd_;
  service::PeerGroup bounced_in_;
  service::PeerGroup smtpc_;
  service::PeerGroup locald_;
  service::PeerGroup bounced_;
  bool recovered_ = false;
  std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>>
      early_;  // ends that came before recovery
  std::vector<UniqueFd> admin_sockets_;
  io::Event stop_;
};

}  // namespace postern::qmgr
