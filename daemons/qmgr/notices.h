// daemons/qmgr/notices.h — asking bounced for delivery status notifications.
#pragma once

#include <memory>

#include "common/base/queue_id.h"
#include "common/ipc/protocol/qmgr_bounced.h"
#include "common/service/service.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

class Notices {
 public:
  explicit Notices(Queue& queue) : queue_(queue), ids_(0) {}

  // `origin`: of the ids that notices get, which bounced submits under.
  std::unique_ptr<service::PeerHandler> MakeHandler(uint8_t origin);
  // See Queue::Notify. Must not be called for a message that nobody is told about (NoticeAddress).
  io::Task<bool> Notify(uint64_t id, const LoadedMessage& loaded, NoticeWish& wish);

 private:
  class Handler;
  io::Task<bool> Ask(uint64_t id, const protocol::notice::Notice& message);

  Queue& queue_;
  QueueIdMaker ids_;
  ipc::Channel* channel_ = nullptr;
};

}  // namespace postern::qmgr
