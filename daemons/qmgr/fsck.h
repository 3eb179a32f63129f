// daemons/qmgr/fsck.h — reads a spool from end to end, changes nothing, and says what is wrong with
// it and what a start will make of that (FORMAT.md). For `postern queue fsck`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"

namespace postern::qmgr {

struct Finding {
  // kNote: as it should be after a crash, or somebody else's. kDamage: mail may be lost or late.
  enum class Weight : uint8_t { kNote, kDamage };
  Weight weight = Weight::kNote;
  std::string where;        // "log/000000000001.seg at octet 4096", relative to the spool
  std::string what;         // "the content of message 0P1H5KPQ01G04 is damaged"
  std::string consequence;  // "it is held when it is to be delivered"
};

struct SpoolReport {
  uint64_t segments = 0;
  uint64_t records = 0;   // that are whole
  uint64_t messages = 0;  // alive
  uint64_t contents = 0;  // files of large messages
  std::vector<Finding> findings;

  bool damaged() const;
};

// Errors: kNotFound            there is no spool at `directory`
//         kFailedPrecondition  a running server has it
//         others               it cannot be read
absl::StatusOr<SpoolReport> CheckSpool(const std::string& directory);

}  // namespace postern::qmgr
