// daemons/deliver/directory_sync.h — group commit: one fsync of a directory for many renames.
#pragma once

#include <cstdint>
#include <memory>

#include "common/base/status.h"
#include "common/io/event.h"
#include "common/io/task.h"

namespace postern::deliver {

class DirectorySync {
 public:
  // `fd` must outlive this.
  explicit DirectorySync(int fd) : fd_(fd) {}

  // Returns the outcome of a sync that began after the call: what was renamed before is durable.
  // All who call before that sync begins share it, and its failure.
  io::Task<absl::Status> Sync();
  uint64_t syncs() const { return syncs_; }

 private:
  struct Batch {
    io::Event done;
    absl::Status status;
  };

  const int fd_;
  bool running_ = false;
  std::shared_ptr<Batch> next_;  // who waits for the sync that has not begun
  io::Event idle_;
  uint64_t syncs_ = 0;
};

}  // namespace postern::deliver
