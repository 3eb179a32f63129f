// common/ipc/protocol/submission.h — giving a message to the queue: smtpd (side A) to qmgr (side
// B), and bounced likewise with its notices.
//
// Submit opens a stream, Recipients and Content follow as the bytes arrive, End asks for the
// commit, Done ends: kCommitted means durable. The sender may have kInitialCredit octets of content
// outstanding and as many more as Credit messages allow. Refused tells early that the message will
// not be taken; the sender still ends the stream by End or Cancel, and Done answers both.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/frame.h"
#include "common/ipc/protocol/common.h"

namespace postern::protocol::submission {

inline constexpr uint64_t kInitialCredit = 256u << 10;
inline constexpr size_t kMaxOpenStreams = 4096;
inline constexpr uint32_t kMaxRecipients = 100'000;  // of one message, whatever smtpd's own limit

enum Type : uint8_t { kSubmit = 1, kRecipients, kContent, kEnd, kCancel, kCredit, kRefused, kDone };
enum SubmissionPhase : ipc::Phase { kOpen = 1, kEnded };

struct Recipient {
  static constexpr bool kHasFields = true;
  std::string address;  // as it goes on the wire, without <>; "postmaster" alone is possible
  std::string orcpt;    // "rfc822;user@example.org", decoded, or empty
  uint8_t notify = 0;
  RecipientClass kind = RecipientClass::kRemote;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("address", m.address, kMaxAddress);
    v("orcpt", m.orcpt, kMaxXtext);
    v("notify", m.notify);
    v("kind", m.kind, kLastRecipientClass);
  }
};

struct Submit {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kSubmit;
  uint64_t queue_id = 0;
  std::string sender;  // reverse-path without <>; empty: the null sender
  std::string envid;   // decoded
  Ret ret = Ret::kNotGiven;
  Body body = Body::kSevenBit;
  bool smtputf8 = false;
  uint64_t announced_octets = 0;  // SIZE=, 0: not given
  Ip client;                      // kNone: local submission
  std::string submitter;    // who pays: login, local user, or client address; for fairness and logs
  std::string hold_reason;  // not empty: the message is held at once
  std::string prepend;      // headers in front of the content: Received
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("queue_id", m.queue_id);
    v("sender", m.sender, kMaxAddress);
    v("envid", m.envid, kMaxXtext);
    v("ret", m.ret, kLastRet);
    v("body", m.body, kLastBody);
    v("smtputf8", m.smtputf8);
    v("announced_octets", m.announced_octets);
    v("client", m.client);
    v("submitter", m.submitter, kMaxAddress);
    v("hold_reason", m.hold_reason, kMaxReason);
    v("prepend", m.prepend, kMaxPrependedHeaders);
  }
};

struct Recipients {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kRecipients;
  std::vector<Recipient> recipients;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("recipients", m.recipients, kMaxRecipientsPerPiece);
  }
};

struct Content {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kContent;
  std::string_view bytes;  // CRLF lines, dots unstuffed
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("bytes", m.bytes, kMaxContentPiece);
  }
};

using End = Empty<Type::kEnd>;
using Cancel = Empty<Type::kCancel>;

struct Credit {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kCredit;
  uint32_t octets = 0;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("octets", m.octets);
  }
};

struct Refused {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kRefused;
  ReplyText reply;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("reply", m.reply);
  }
};

enum class Outcome : uint8_t { kCommitted, kRefused, kCancelled };
struct Done {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kDone;
  Outcome outcome = Outcome::kRefused;
  ReplyText reply;  // kRefused: 4yz for trouble of ours
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("outcome", m.outcome, uint64_t{2});
    v("reply", m.reply);
  }
};

// Recipients of one piece: address, orcpt, and the lengths in front.
inline constexpr size_t kMaxPayload =
    kMaxRecipientsPerPiece * (kMaxAddress + kMaxXtext + 16) + 1024;

inline constexpr std::array kRules = {
    ipc::Rule{kSubmit, ipc::Side::kA, ipc::In(ipc::kIdle), kOpen},
    ipc::Rule{kRecipients, ipc::Side::kA, ipc::In(kOpen), kOpen},
    ipc::Rule{kContent, ipc::Side::kA, ipc::In(kOpen), kOpen},
    ipc::Rule{kEnd, ipc::Side::kA, ipc::In(kOpen), kEnded},
    ipc::Rule{kCancel, ipc::Side::kA, ipc::In(kOpen), kEnded},
    ipc::Rule{kDone, ipc::Side::kB, ipc::In(kEnded), ipc::kIdle},
    // These leave the phase as it is, and may cross End on the way.
    ipc::Rule{kCredit, ipc::Side::kB, ipc::In(kOpen, kEnded), ipc::kStay},
    ipc::Rule{kRefused, ipc::Side::kB, ipc::In(kOpen, kEnded), ipc::kStay},
};

}  // namespace postern::protocol::submission
