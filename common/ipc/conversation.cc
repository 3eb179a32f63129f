#include "common/ipc/conversation.h"

namespace postern::ipc {

Parsed<const Rule*> Conversations::Advance(Side sender, uint8_t type, uint32_t id) {
  const Rule* rule = edge_->RuleFor(type);
  if (rule == nullptr) return Malformed("unknown message type " + std::to_string(type));
  if (rule->sender != sender)
    return Malformed("message type " + std::to_string(type) + " from the wrong side");
  const auto found = phases_.find(id);
  const Phase now = found == phases_.end() ? kIdle : found->second;
  if ((rule->from & In(now)) == 0) {
    return Malformed("message type " + std::to_string(type) + " out of phase (" +
                     std::to_string(now) + ")");
  }
  if (now == kIdle) {
    if (OpenerOf(id) != sender) return Malformed("conversation opened with the other side's id");
    if (rule->to == kIdle || rule->to == kStay) return rule;
    size_t& open = open_[static_cast<size_t>(sender)];
    if (open >= edge_->max_open) return Malformed("too many open conversations");
    ++open;
    phases_.emplace(id, rule->to);
  } else if (rule->to == kIdle) {
    --open_[static_cast<size_t>(OpenerOf(id))];
    phases_.erase(found);
  } else if (rule->to != kStay) {
    found->second = rule->to;
  }
  return rule;
}

Phase Conversations::phase(uint32_t id) const {
  const auto found = phases_.find(id);
  return found == phases_.end() ? kIdle : found->second;
}

}  // namespace postern::ipc
