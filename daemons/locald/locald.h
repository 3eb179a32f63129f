// daemons/locald/locald.h — local delivery: decides which account a recipient is, and has that
// account's `deliver` store the message.
#pragma once

#include <memory>

#include "common/ipc/protocol/qmgr_locald.h"
#include "common/service/service.h"
#include "daemons/locald/pool.h"
#include "daemons/locald/recipients.h"

namespace postern::locald {

class Locald final : public service::Daemon, private Starter {
 public:
  // Jobs at once; each waits for a disk.
  static constexpr uint32_t kCapacity = 256;

  explicit Locald(service::Service& service);

  void OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) override;
  void OnReload() override;
  void OnStop(io::Deadline) override { stop_.Set(); }
  io::Task<absl::Status> Serve() override;
  void Count(std::vector<protocol::control::Counter>& counters) override;

 private:
  class QmgrHandler;
  struct Order;
  io::Task<void> Work(QmgrHandler& qmgr, uint64_t generation, std::unique_ptr<Order> order);
  io::Task<void> DeliverTo(const Order& order, const protocol::delivery::JobRecipient& recipient,
                           io::Deadline until, protocol::delivery::Result& result);

  // Starter
  io::Task<absl::StatusOr<UniqueFd>> Start(const std::string& user, io::Deadline until) override;
  size_t max_processes() const override;

  service::Service& service_;
  std::unique_ptr<AccountTable> accounts_;
  Pool pool_;
  io::TaskScope edges_;
  io::TaskScope jobs_;
  io::TaskScope background_;
  service::PeerGroup qmgr_;
  io::Event stop_;
  uint64_t delivered_ = 0;
};

}  // namespace postern::locald
