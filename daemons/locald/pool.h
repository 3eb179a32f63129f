// daemons/locald/pool.h — the `deliver` processes, one an account, kept while they have work.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/io/scope.h"
#include "common/ipc/channel.h"
#include "common/ipc/protocol/locald_deliver.h"
#include "common/service/service.h"

namespace postern::locald {

class Pool {
 public:
  static constexpr absl::Duration kIdle = absl::Seconds(30);

  explicit Pool(service::Service& service) : service_(service) {}

  // Has `user`'s process store a message. Trouble of any kind is an outcome of kDeferred.
  io::Task<protocol::mailbox::Delivered> Deliver(const std::string& user,
                                                 const protocol::mailbox::Deliver& order,
                                                 UniqueFd descriptor, io::Deadline until);
  // Closes processes that were idle for long, until stopped.
  io::Task<absl::Status> CloseIdle();
  // Closes all and waits.
  io::Task<void> Close();
  size_t processes() const { return processes_.size(); }

 private:
  struct Process;
  io::Task<absl::StatusOr<std::shared_ptr<Process>>> Get(const std::string& user,
                                                         io::Deadline until);
  io::Task<absl::Status> Run(std::shared_ptr<Process> process);
  bool CloseOneIdle();

  service::Service& service_;
  std::map<std::string, std::shared_ptr<Process>> processes_;
  size_t starting_ = 0;
  io::TaskScope running_;
  io::Event changed_;
};

}  // namespace postern::locald
