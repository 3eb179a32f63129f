// common/ipc/protocol/locald_deliver.h — locald (A) has a `deliver` (B), which runs as one user,
// write messages into that user's mailbox.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "common/ipc/protocol/delivery.h"

namespace postern::protocol::mailbox {

enum Type : uint8_t { kDeliver = 1, kDelivered };
enum DeliverPhase : ipc::Phase { kWriting = 1 };

struct Deliver {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kDeliver;
  uint64_t queue_id = 0;
  std::string sender;     // for Return-Path (S08); empty: null
  std::string recipient;  // for Delivered-To
  int64_t arrival_us = 0;
  uint64_t content_octets = 0;
  uint64_t content_offset = 0;
  std::string_view inline_content;  // as in delivery::Job
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("queue_id", m.queue_id);
    v("sender", m.sender, kMaxAddress);
    v("recipient", m.recipient, kMaxAddress);
    v("arrival_us", m.arrival_us);
    v("content_octets", m.content_octets);
    v("content_offset", m.content_offset);
    v("inline_content", m.inline_content, kMaxInlineContent);
  }
};

// After kDelivered the message is durable in the mailbox. Trouble of ours (quota, disk) is
// kDeferred.
struct Delivered {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kDelivered;
  delivery::Outcome outcome = delivery::Outcome::kDeferred;
  std::string status;
  std::string diagnostic;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("outcome", m.outcome, delivery::kLastOutcome);
    v("status", m.status, 16);
    v("diagnostic", m.diagnostic, kMaxReplyText);
  }
};

inline constexpr std::array kRules = {
    ipc::Rule{kDeliver, ipc::Side::kA, ipc::In(ipc::kIdle), kWriting, ipc::Descriptor::kOptional},
    ipc::Rule{kDelivered, ipc::Side::kB, ipc::In(kWriting), ipc::kIdle},
};

}  // namespace postern::protocol::mailbox

namespace postern::protocol {

inline constexpr ipc::Edge kLocaldDeliver{.name = "locald-deliver",
                                          .rules = mailbox::kRules,
                                          .max_payload_octets = kMaxInlineContent + 8192,
                                          .max_open = 256,
                                          .descriptor_kind = S_IFREG};

}  // namespace postern::protocol
