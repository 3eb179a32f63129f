// daemons/policyd/policyd.h — the policy process: answers smtpd's questions.
#pragma once

#include <memory>
#include <vector>

#include "common/io/scope.h"
#include "common/service/service.h"
#include "daemons/policyd/decide.h"

namespace postern::policyd {

class Policyd final : public service::Daemon {
 public:
  explicit Policyd(service::Service& service);

  void OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) override;
  void OnReload() override;
  void OnStop(io::Deadline) override { stop_.Set(); }
  io::Task<absl::Status> Serve() override;
  void Count(std::vector<protocol::control::Counter>& counters) override;

 private:
  class SmtpdHandler;
  protocol::policy::Verdict OnConnect(const IpAddress& client);

  service::Service& service_;
  std::unique_ptr<Rules> rules_;
  ConnectionCounter connections_;
  uint64_t questions_ = 0;
  io::TaskScope edges_;
  service::PeerGroup smtpd_;
  io::Event stop_;
};

}  // namespace postern::policyd
