#include "daemons/deliver/directory_sync.h"

#include "common/io/event.h"
#include "common/io/file.h"
#include "common/io/loop.h"

namespace postern::deliver {

io::Task<absl::Status> DirectorySync::Sync() {
  const bool leads = next_ == nullptr;
  if (leads) next_ = std::make_shared<Batch>();
  // Each batch keeps its own outcome: the kernel reports a failure once, so that the sync after a
  // failed one succeeds and says nothing about the renames before.
  const std::shared_ptr<Batch> batch = next_;
  if (!leads) {
    CO_RETURN_IF_ERROR(co_await batch->done.Wait(io::Deadline::Never()));
    co_return batch->status;
  }
  // Others that are about to rename come along.
  co_await io::YieldTurn();
  absl::Status outcome;
  while (running_ && outcome.ok()) outcome = co_await idle_.Wait(io::Deadline::Never());
  next_ = nullptr;  // who comes from here on may have renamed too late for this one
  if (outcome.ok()) {
    running_ = true;
    ++syncs_;
    outcome =
        co_await io::SyncFile(io::Loop::Current(), fd_, io::Sync::kAll, io::Deadline::Never());
    running_ = false;
    idle_.Wake();
  }
  batch->status = outcome;
  batch->done.Set();
  co_return outcome;
}

}  // namespace postern::deliver
