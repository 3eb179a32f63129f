// daemons/qmgr/contents.h — the files of large messages, compared at start with what the log says.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/io/task.h"
#include "daemons/qmgr/disk.h"

namespace postern::qmgr {

// "content/" and the queue id.
std::string ContentName(uint64_t queue_id);

struct ContentsReport {
  uint64_t removed = 0;  // orphans
  struct LeftAlone {
    std::string file;
    std::string reason;
  };
  std::vector<LeftAlone> left_alone;
  // Messages whose content is not what was committed, and what is wrong with it: nobody may guess
  // at them, a person must look.
  std::map<uint64_t, std::string> broken;
};

// kKeep: a part of the log could not be read, so what looks like an orphan may be somebody's.
enum class Orphans { kRemove, kKeep };

// `expected`: the octets of each message in a file of its own. Orphans are contents whose message
// was never committed, or has gone.
io::Task<absl::StatusOr<ContentsReport>> CheckContents(Disk& disk,
                                                       const std::map<uint64_t, uint64_t>& expected,
                                                       Orphans orphans);

}  // namespace postern::qmgr
