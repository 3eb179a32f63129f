// daemons/qmgr/admin.h — the operator's questions and orders (common/ipc/protocol/admin.h).
#pragma once

#include "common/io/scope.h"
#include "common/io/socket.h"
#include "common/ipc/channel.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

class Admin {
 public:
  // `owner_uid`: who we are, asked before the confinement.
  Admin(Queue& queue, uid_t owner_uid) : queue_(queue), owner_uid_(owner_uid) {}
  // Serves connections until stopped. Only root and our own user may ask.
  io::Task<absl::Status> Serve(UniqueFd listener);

 private:
  class Connection;
  io::Task<void> Run(UniqueFd connection);
  io::Task<protocol::admin::Message> Describe(QueuedMessage& message, size_t max_recipients);

  Queue& queue_;
  const uid_t owner_uid_;
  io::TaskScope connections_;
};

}  // namespace postern::qmgr
