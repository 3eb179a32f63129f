// daemons/resolvd/resolvd.h — the resolver process: answers the questions of smtpc.
#pragma once

#include <memory>
#include <vector>

#include "common/config/settings.h"
#include "common/io/scope.h"
#include "common/service/service.h"
#include "daemons/resolvd/lookups.h"
#include "daemons/resolvd/resolver.h"

namespace postern::resolvd {

class Resolvd final : public service::Daemon {
 public:
  // `resolver` must outlive the daemon.
  Resolvd(service::Service& service, Resolver& resolver);

  void OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) override;
  // A new time-out counts at once. Whatever else of [dns] has changed needs files and a fresh
  // context: master is asked for a new process.
  void OnReload() override;
  // Questions under way are answered first.
  void OnStop(io::Deadline until) override;
  io::Task<absl::Status> Serve() override;
  void Count(std::vector<protocol::control::Counter>& counters) override;

 private:
  class SmtpcHandler;

  service::Service& service_;
  const config::Dns started_with_;
  Lookups lookups_;
  uint64_t questions_ = 0;
  uint64_t failures_ = 0;
  io::TaskScope edges_;
  service::PeerGroup smtpc_;
  io::Event stop_;
  io::Deadline stop_until_;
};

}  // namespace postern::resolvd
