// common/ipc/protocol/qmgr_bounced.h — qmgr (A) asks bounced (B) for a notice (RFC 3461, 3464).
// bounced composes it and submits it to qmgr on an edge of its own (kBouncedQmgr) before it
// answers.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/protocol/submission.h"

namespace postern::protocol::notice {

enum Type : uint8_t { kNotice = 1, kNoticeDone };
enum NoticePhase : ipc::Phase { kComposing = 1 };

// How much of the returned message comes along: its header section, or all of it for RET=FULL.
inline constexpr uint64_t kMaxReturned = 256u << 10;

enum class Kind : uint8_t { kFailure, kDelay, kSuccess };
inline constexpr uint64_t kLastKind = 2;

struct NoticeRecipient {
  static constexpr bool kHasFields = true;
  std::string address;
  std::string orcpt;
  uint8_t notify = 0;
  bool relayed = false;  // kSuccess: relayed to a host without DSN, not delivered
  std::string status;
  std::string diagnostic;
  bool remote_words = false;
  std::string remote;
  int64_t last_attempt_us = 0;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("address", m.address, kMaxAddress);
    v("orcpt", m.orcpt, kMaxXtext);
    v("notify", m.notify);
    v("relayed", m.relayed);
    v("status", m.status, 16);
    v("diagnostic", m.diagnostic, kMaxReplyText);
    v("remote_words", m.remote_words);
    v("remote", m.remote, kMaxDomain);
    v("last_attempt_us", m.last_attempt_us);
  }
};

struct Notice {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kNotice;
  Kind kind = Kind::kFailure;
  uint64_t queue_id = 0;   // of the message it is about
  uint64_t notice_id = 0;  // the queue id the notice is to have
  std::string sender;      // of the message: who gets the notice (never empty)
  std::string envid;
  Ret ret = Ret::kNotGiven;
  bool smtputf8 = false;
  Body body = Body::kSevenBit;
  int64_t arrival_us = 0;
  int64_t retry_until_us = 0;   // kDelay
  uint64_t content_octets = 0;  // of the whole message
  bool complete = false;        // `returned` is the whole message, not only its head
  std::string_view returned;
  std::vector<NoticeRecipient> recipients;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("kind", m.kind, kLastKind);
    v("queue_id", m.queue_id);
    v("notice_id", m.notice_id);
    v("sender", m.sender, kMaxAddress);
    v("envid", m.envid, kMaxXtext);
    v("ret", m.ret, kLastRet);
    v("smtputf8", m.smtputf8);
    v("body", m.body, kLastBody);
    v("arrival_us", m.arrival_us);
    v("retry_until_us", m.retry_until_us);
    v("content_octets", m.content_octets);
    v("complete", m.complete);
    v("returned", m.returned, kMaxReturned);
    v("recipients", m.recipients, kMaxRecipientsPerPiece);
  }
};

enum class Outcome : uint8_t { kSubmitted, kNotWanted, kFailed };
struct NoticeDone {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kNoticeDone;
  Outcome outcome = Outcome::kFailed;
  std::string reason;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("outcome", m.outcome, uint64_t{2});
    v("reason", m.reason, kMaxReason);
  }
};

inline constexpr std::array kRules = {
    ipc::Rule{kNotice, ipc::Side::kA, ipc::In(ipc::kIdle), kComposing},
    ipc::Rule{kNoticeDone, ipc::Side::kB, ipc::In(kComposing), ipc::kIdle},
};

}  // namespace postern::protocol::notice

namespace postern::protocol {

inline constexpr ipc::Edge kQmgrBounced{
    .name = "qmgr-bounced",
    .rules = notice::kRules,
    .max_payload_octets =
        notice::kMaxReturned +
        kMaxRecipientsPerPiece * (kMaxAddress + kMaxXtext + kMaxReplyText + kMaxDomain + 64) + 8192,
    .max_open = 64};

// bounced (A) submits to qmgr (B), as smtpd does.
inline constexpr ipc::Edge kBouncedQmgr{.name = "bounced-qmgr",
                                        .rules = submission::kRules,
                                        .max_payload_octets = submission::kMaxPayload,
                                        .max_open = 64};

}  // namespace postern::protocol
