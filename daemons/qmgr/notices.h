// daemons/qmgr/notices.h — asking bounced for delivery status notifications.
#pragma once

#include <unordered_map>

#include "common/base/queue_id.h"
#include "common/ipc/protocol/qmgr_bounced.h"
#include "common/service/service.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

class Notices {
 public:
  // `bounced_origin`: of the ids its notices get.
  Notices(Queue& queue) : queue_(queue), ids_(0) {}

  std::unique_ptr<service::PeerHandler> MakeHandler(uint8_t origin);
  // True once the notice is in the queue, or nobody wants one.
  io::Task<bool> Notify(uint64_t id, const LoadedMessage& loaded, NoticeWish wish);

 private:
  class Handler;
  Queue& queue_;
  QueueIdMaker ids_;
  ipc::Channel* channel_ = nullptr;
};

}  // namespace postern::qmgr
