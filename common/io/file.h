// common/io/file.h — files on the loop. Short writes and reads are continued; errors are final:
// after a failed write or sync nobody may believe in what the file holds (architecture, the queue).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/io/loop.h"

namespace postern::io {

// `flags` and `mode` as for open(2); O_CLOEXEC is added; symbolic links and paths leaving
// `directory` are refused (RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS), so `path` is relative. `path`
// must stay valid.
Task<absl::StatusOr<UniqueFd>> OpenBeneath(Loop& loop, int directory, const char* path, int flags,
                                           uint32_t mode, Deadline until);
Task<absl::Status> WriteAt(Loop& loop, int fd, std::string_view bytes, uint64_t offset,
                           Deadline until);
// Fills `buffer` as far as the file goes; returns the octets read.
Task<absl::StatusOr<size_t>> ReadAt(Loop& loop, int fd, char* buffer, size_t octets,
                                    uint64_t offset, Deadline until);
enum class Sync { kDataOnly, kAll };
Task<absl::Status> SyncFile(Loop& loop, int fd, Sync what, Deadline until);
// Writes and syncs the data in one submission where the backend can (a linked pair on io_uring).
Task<absl::Status> WriteAndSync(Loop& loop, int fd, std::string_view bytes, uint64_t offset);
// EEXIST is kAlreadyExists: an existing target is never replaced unless `replace`.
Task<absl::Status> Rename(Loop& loop, int directory, const char* from, int new_directory,
                          const char* to, bool replace, Deadline until);
Task<absl::Status> Link(Loop& loop, int directory, const char* from, int new_directory,
                        const char* to, Deadline until);
Task<absl::Status> Unlink(Loop& loop, int directory, const char* path, Deadline until);
// Waits until a descriptor is ready for `events` (POLLIN, POLLOUT): the events that are.
Task<absl::StatusOr<int>> Poll(Loop& loop, int fd, int events, Deadline until);

}  // namespace postern::io
