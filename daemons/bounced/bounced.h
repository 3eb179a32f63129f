// daemons/bounced/bounced.h — the process that writes notices: qmgr asks, the notice is composed
// and submitted to the same qmgr, and only then is the question answered.
#pragma once

#include <memory>
#include <unordered_map>

#include "common/ipc/protocol/qmgr_bounced.h"
#include "common/service/service.h"
#include "daemons/bounced/compose.h"

namespace postern::bounced {

class Bounced final : public service::Daemon {
 public:
  explicit Bounced(service::Service& service);

  void OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) override;
  void OnStop(io::Deadline) override { stop_.Set(); }
  io::Task<absl::Status> Serve() override;
  void Count(std::vector<protocol::control::Counter>& counters) override;

 private:
  class Asking;      // a qmgr's questions
  class Submitting;  // the way back to it
  struct Wish;
  io::Task<void> Work(Asking& asking, uint64_t generation, uint32_t shard,
                      std::unique_ptr<Wish> wish);
  io::Task<protocol::notice::NoticeDone> Send(uint32_t shard, const Wish& wish);

  service::Service& service_;
  io::TaskScope edges_;
  io::TaskScope work_;
  service::PeerGroup questions_;
  std::unordered_map<uint32_t, Submitting*> ways_;  // by shard; owned by submissions_
  service::PeerGroup submissions_;
  io::Event stop_;
  uint64_t sent_ = 0;
};

// What is said about whom, from what qmgr asks. Pure.
Report ReportOf(const protocol::notice::Notice& notice, const std::string& host, int64_t now_us);

}  // namespace postern::bounced
