// common/ipc/frame.h — how messages follow each other on a Unix stream socket, and the table that
// says who may send what when.
//
// A frame: octets 0-3 payload length, 4 message type, 5 flags (1: a descriptor comes with it), 6-7
// zero, 8-11 id, then the payload. The id names a conversation: a request and its answer, or a
// content stream. The master's side A opens odd ids, side B even ones.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/parse_error.h"
#include "common/base/unique_fd.h"

namespace postern::ipc {

inline constexpr size_t kFrameHeaderOctets = 12;

enum class Side : uint8_t { kA, kB };
inline Side Other(Side side) { return side == Side::kA ? Side::kB : Side::kA; }

// A conversation is in kIdle before its first and after its last message; the other phases are the
// edge's own (1..15).
using Phase = uint8_t;
inline constexpr Phase kIdle = 0;
inline constexpr Phase kStay = 255;  // as Rule::to: the phase does not change
using PhaseSet = uint16_t;
template <class... Phases>
constexpr PhaseSet In(Phases... phases) {
  return static_cast<PhaseSet>((0u | ... | (1u << static_cast<unsigned>(phases))));
}

enum class Descriptor : uint8_t { kNone, kOptional, kRequired };

// One row of an edge's table: `sender` may send `type` while the conversation is in one of `from`,
// and it is in `to` afterwards. A message that crossed another on the way is allowed for by listing
// the phase its sender could not know about yet.
struct Rule {
  uint8_t type;
  Side sender;
  PhaseSet from;
  Phase to;
  Descriptor descriptor = Descriptor::kNone;
};

struct Edge {
  const char* name;             // "smtpd-qmgr": side A first
  std::span<const Rule> rules;  // at most one row for each type
  size_t max_payload_octets;
  size_t max_open;  // conversations each side may have open at once
  // What a descriptor that travels here must be (S_IFMT bits, as fstat says).
  uint32_t descriptor_kind = 0;

  const Rule* RuleFor(uint8_t type) const {
    for (const Rule& rule : rules) {
      if (rule.type == type) return &rule;
    }
    return nullptr;
  }
};

struct FrameHeader {
  uint32_t payload_octets = 0;
  uint8_t type = 0;
  bool has_descriptor = false;
  uint32_t id = 0;
};

void AppendFrameHeader(std::string& to, const FrameHeader& header);
// Needs kFrameHeaderOctets octets. Unknown flags and a payload over `max_payload_octets` are
// refused.
Parsed<FrameHeader> ParseFrameHeader(std::string_view bytes, size_t max_payload_octets);

// A frame as it was received. The payload is valid until the handler returns.
struct Frame {
  uint8_t type = 0;
  uint32_t id = 0;
  std::string_view payload;
  UniqueFd descriptor;
};

}  // namespace postern::ipc
