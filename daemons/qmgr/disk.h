// daemons/qmgr/disk.h — what the store asks of a spool directory. The real one goes through the
// loop; tests put one in its place that loses what was not synced and fails on demand.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/io/loop.h"
#include "common/io/task.h"

namespace postern::qmgr {

class DiskFile {
 public:
  virtual ~DiskFile() = default;
  virtual io::Task<absl::Status> Write(std::string_view bytes, uint64_t offset) = 0;
  virtual io::Task<absl::Status> WriteAndSync(std::string_view bytes, uint64_t offset) = 0;
  virtual io::Task<absl::Status> Sync() = 0;
  // As far as the file goes: the octets read.
  virtual io::Task<absl::StatusOr<size_t>> Read(char* to, size_t octets, uint64_t offset) = 0;
  virtual absl::StatusOr<uint64_t> Octets() const = 0;
  // Its descriptor, opened for reading alone: it goes to those who deliver. -1: memory.
  virtual absl::StatusOr<int> OpenForReading() const = 0;
};

// Names are relative to the spool: "log/000000000001.seg", "content/01ABC...".
class Disk {
 public:
  virtual ~Disk() = default;
  // A new file, `octets` of it allocated; kAlreadyExists if there is one.
  virtual io::Task<absl::StatusOr<std::unique_ptr<DiskFile>>> Create(const std::string& name,
                                                                     uint64_t octets) = 0;
  // kInvalidArgument: there is something, and it is no regular file.
  virtual io::Task<absl::StatusOr<std::unique_ptr<DiskFile>>> Open(const std::string& name) = 0;
  virtual io::Task<absl::Status> Remove(const std::string& name) = 0;
  // Makes creations and removals in "log" or "content" durable.
  virtual io::Task<absl::Status> SyncDirectory(const std::string& directory) = 0;
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& directory) = 0;
  // 0 also when the file system can hold hardly any more files.
  virtual absl::StatusOr<uint64_t> FreeOctets() = 0;
};

// The spool directory at `path`, which is made (0700, with log/ and content/) if it is not there,
// and locked. kFailedPrecondition: another process has it, it belongs to another user, or everybody
// may write to it. Root, which has not become qmgr's user yet, takes the directory's owner for
// that.
absl::StatusOr<std::unique_ptr<Disk>> OpenSpool(const std::string& path);

}  // namespace postern::qmgr
