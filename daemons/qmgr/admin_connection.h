// daemons/qmgr/admin_connection.h — one operator's tool: its requests, each answered by a task of
// its own. Messages are read one at a time, so that a question about all of them takes no memory.
#pragma once

#include <sys/types.h>

#include <vector>

#include "common/io/scope.h"
#include "common/ipc/channel.h"
#include "common/ipc/protocol/admin.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

class AdminConnection final : public ipc::FrameHandler {
 public:
  // Messages one List looks at: a filter that fits few must not hold up the tool without a word.
  static constexpr size_t kMaxLookedAt = 2000;
  static constexpr uint32_t kMaxPage = 500;
  static constexpr size_t kListedRecipients = 3;
  // Messages that one order changes before others have their turn.
  static constexpr size_t kActedAtOnce = 256;

  // Both must outlive it. `peer`: who asks, for the log.
  AdminConnection(Queue& queue, ipc::Channel& channel, uid_t peer)
      : queue_(queue), channel_(channel), actor_{.by = "operator", .uid = peer} {}

  absl::Status OnFrame(ipc::Frame& frame) override;
  io::Task<void> Join();

 private:
  // admin_list.cc
  io::Task<absl::Status> List(uint32_t id, protocol::admin::List list);
  io::Task<absl::Status> Show(uint32_t id, protocol::admin::Show show);
  io::Task<absl::Status> SendContent(uint32_t id, uint64_t queue_id, const LoadedMessage& loaded);
  protocol::admin::State StateOf(const QueuedMessage& message) const;
  protocol::admin::Message Describe(const QueuedMessage& message) const;
  io::Task<void> AddRecipients(const QueuedMessage& message, const MessageRecord& record,
                               const std::vector<uint32_t>& indices,
                               protocol::admin::Message& described);

  // admin.cc
  io::Task<absl::Status> Act(uint32_t id, protocol::admin::Act act);
  bool ActOn(uint64_t queue_id, const protocol::admin::Act& act);
  protocol::admin::DestinationsListed ListDestinations() const;

  Queue& queue_;
  ipc::Channel& channel_;
  const Actor actor_;
  io::TaskScope work_;
};

}  // namespace postern::qmgr
