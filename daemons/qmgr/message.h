// daemons/qmgr/message.h — a queued message as it is held in memory: small, the rest is in the log.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemons/qmgr/store.h"

namespace postern::qmgr {

// Which recipients are done with; 64 of them without an allocation.
class DoneSet {
 public:
  void Resize(size_t recipients) {
    if (recipients > 64) many_ = std::make_unique<std::vector<bool>>(recipients, false);
  }
  bool Has(size_t index) const { return many_ ? (*many_)[index] : (few_ >> index & 1) != 0; }
  void Add(size_t index) {
    if (many_) {
      (*many_)[index] = true;
    } else {
      few_ |= uint64_t{1} << index;
    }
  }

 private:
  uint64_t few_ = 0;
  std::unique_ptr<std::vector<bool>> many_;
};

struct QueuedMessage {
  uint64_t id = 0;
  Location where;
  Location last_attempt;
  int64_t arrival_us = 0;  // wall clock, for people and for the next start
  int64_t born_us = 0;     // the same moment of the monotonic clock, which alone counts its age
  uint64_t octets = 0;
  uint32_t recipients = 0;
  uint32_t left = 0;  // not done yet
  uint32_t attempts = 0;
  DoneSet done;
  bool null_sender = false;
  bool in_file = false;
  bool delay_notified = false;
  bool wants_success = false;  // some recipient has NOTIFY=SUCCESS
  bool stranded = false;       // the scheduler does not know all that is left: see Queue::Release
  bool removed = false;
  uint32_t routing = 0;                      // of Queue::routing, by which it is grouped
  uint32_t busy = 0;                         // who works on it: it is not removed under their hands
  std::unique_ptr<std::string> hold_reason;  // null: not held
  // The message itself from its commit until it was first handed out, as far as there is room.
  std::shared_ptr<const LoadedMessage> cached;

  bool held() const { return hold_reason != nullptr; }
};

}  // namespace postern::qmgr
