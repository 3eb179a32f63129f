// daemons/deliver/source.h — the message to be written, from memory or from a descriptor, in
// pieces.
#pragma once

#include <string>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/io/loop.h"
#include "common/io/task.h"
#include "common/ipc/protocol/locald_deliver.h"
#include "daemons/deliver/text.h"

namespace postern::deliver {

// Owns a copy of what came with the frame. Pieces are in mailbox form (LF, no Return-Path of
// others).
class Source {
 public:
  static constexpr size_t kPieceOctets = 256u << 10;

  Source(const protocol::mailbox::Deliver& order, UniqueFd descriptor);

  // The next piece; empty at the end.
  // Errors: kDataLoss when there is less than was promised
  io::Task<absl::StatusOr<std::string>> Next(io::Loop& loop);

 private:
  std::string front_;  // what came inline
  UniqueFd descriptor_;
  uint64_t offset_ = 0;
  uint64_t left_ = 0;  // in the descriptor
  bool short_;         // the descriptor it needs did not come
  bool first_ = true;
  bool finished_ = false;
  std::string fields_;
  CrlfToLf newlines_;
};

}  // namespace postern::deliver
