// daemons/qmgr/admin.h — the operator's questions and orders (common/ipc/protocol/admin.h).
#pragma once

#include <sys/types.h>

#include "common/io/listener.h"
#include "common/io/scope.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

class Admin {
 public:
  // `owner_uid`: who we are, asked before the confinement.
  // `root_uid`: what root looks like in here. Where that is like anybody else, the socket's mode
  // still lets nobody in but root and the owner.
  Admin(Queue& queue, uid_t owner_uid, uid_t root_uid = 0)
      : queue_(queue), owner_uid_(owner_uid), root_uid_(root_uid) {}
  // Serves connections until stopped. Only root and our own user may ask.
  io::Task<absl::Status> Serve(UniqueFd listener);
  // One connection, of a peer that may ask, until it ends or breaks the rules (that is logged).
  io::Task<void> Talk(UniqueFd connection, uid_t peer);

 private:
  io::Task<void> Run(UniqueFd connection);

  Queue& queue_;
  const uid_t owner_uid_;
  const uid_t root_uid_;
  io::TaskScope connections_;
};

}  // namespace postern::qmgr
