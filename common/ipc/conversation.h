// common/ipc/conversation.h — keeps an edge's table: which conversations are open, and in which
// phase. Pure, so that it can be fuzzed and tested without a socket.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "common/base/parse_error.h"
#include "common/ipc/frame.h"

namespace postern::ipc {

class Conversations {
 public:
  // `edge` must outlive this.
  explicit Conversations(const Edge& edge) : edge_(&edge) {}

  // A message of `type` from `sender` in conversation `id`: the phase moves on, or why it must not.
  Parsed<const Rule*> Advance(Side sender, uint8_t type, uint32_t id);
  Phase phase(uint32_t id) const;
  size_t open(Side opener) const { return open_[static_cast<size_t>(opener)]; }

 private:
  static Side OpenerOf(uint32_t id) { return (id & 1) != 0 ? Side::kA : Side::kB; }

  const Edge* edge_;
  std::unordered_map<uint32_t, Phase> phases_;
  size_t open_[2] = {0, 0};
};

}  // namespace postern::ipc
