// daemons/smtpc/smtpc.h — the client process: takes jobs from qmgr, finds where they go, and brings
// them there over connections that are kept for a while.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "common/ipc/protocol/qmgr_smtpc.h"
#include "common/service/service.h"
#include "daemons/smtpc/reach.h"
#include "daemons/smtpc/resolver.h"
#include "daemons/smtpc/transfer.h"

namespace postern::smtpc {

class Smtpc final : public service::Daemon {
 public:
  static constexpr uint32_t kCapacity = 500;  // jobs at once, from each qmgr
  static constexpr size_t kMaxIdle = 200;     // connections kept
  // After so long no further address is tried: sixteen that accept and say nothing would hold a job
  // for more than an hour.
  static constexpr absl::Duration kReachBudget = absl::Minutes(10);

  explicit Smtpc(service::Service& service);

  void OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) override;
  void OnReload() override;
  void OnStop(io::Deadline until) override;
  io::Task<absl::Status> Serve() override;
  void Count(std::vector<protocol::control::Counter>& counters) override;

 private:
  class QmgrHandler;
  struct Running;
  struct Idle {
    std::string key;
    std::unique_ptr<Connection> connection;
    io::Deadline until;
  };
  // How a job ended.
  struct Ended {
    std::vector<protocol::delivery::Result> results;
    protocol::delivery::Destination destination = protocol::delivery::Destination::kHealthy;
    std::string reason;
  };

  io::Task<void> RunJob(QmgrHandler& qmgr, uint64_t generation, uint32_t frame_id,
                        std::unique_ptr<Work> work);
  io::Task<void> DeliverInto(const Work& work, Running& running);
  io::Task<Ended> Deliver(const Work& work, Running& running);
  io::Task<absl::StatusOr<std::unique_ptr<Connection>>> Connect(const Target& target, bool lmtp,
                                                                const config::Settings& settings,
                                                                smtp::Reply& refusal);
  io::Task<std::unique_ptr<Connection>> TakeIdle(std::string key);
  void Keep(std::string key, std::unique_ptr<Connection> connection);
  static io::Task<void> Part(std::unique_ptr<Connection> connection);
  io::Task<absl::Status> CloseIdle();
  static Ended AllFor(const Work& work, protocol::delivery::Outcome outcome, std::string status,
                      std::string reason);
  void LogFailure(const Work& work, const Target& target, std::string_view reason) const;
  void LogResults(const Work& work, const Ended& ended) const;

  service::Service& service_;
  // A job keeps those it began with: a reload comes at any of its awaits, and frees the service's.
  std::shared_ptr<const config::Settings> settings_;
  const Reach reach_;  // of this process, whatever is configured later
  io::TaskScope edges_;
  io::TaskScope jobs_;
  io::TaskScope background_;
  service::PeerGroup resolvd_;
  std::vector<QmgrHandler*> qmgr_handlers_;  // owned by qmgr_
  service::PeerGroup qmgr_;
  Resolver resolver_;
  std::list<Idle> idle_;  // the oldest first
  io::Event stop_;
  uint64_t transferred_ = 0;
  uint64_t connections_ = 0;
};

}  // namespace postern::smtpc
