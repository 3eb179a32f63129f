// daemons/deliver/deliver.h — the process that writes into one user's mailbox, as that user.
#pragma once

#include <memory>

#include "common/ipc/protocol/locald_deliver.h"
#include "common/service/service.h"
#include "daemons/deliver/mailbox.h"

namespace postern::deliver {

class Deliver final : public service::Daemon {
 public:
  Deliver(service::Service& service, std::unique_ptr<Mailbox> mailbox, std::string user)
      : service_(service), mailbox_(std::move(mailbox)), user_(std::move(user)) {}

  void OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) override;
  void OnStop(io::Deadline) override { ended_.Set(); }
  // Ends when locald closes its end.
  io::Task<absl::Status> Serve() override;

 private:
  class Handler;
  io::Task<void> Write(uint32_t id, std::unique_ptr<Source> source, uint64_t queue_id,
                       std::string sender);

  service::Service& service_;
  std::unique_ptr<Mailbox> mailbox_;
  const std::string user_;
  std::unique_ptr<ipc::Channel> channel_;
  io::TaskScope writing_;
  io::Event ended_;
};

}  // namespace postern::deliver
