// common/ipc/protocol/smtpd_policyd.h — smtpd (A) asks policyd (B) about clients and recipients.
#pragma once

#include <array>
#include <string>

#include "common/ipc/frame.h"
#include "common/ipc/protocol/common.h"

namespace postern::protocol::policy {

enum Type : uint8_t { kConnectQuestion = 1, kDisconnected, kRecipientQuestion, kVerdict };
enum QuestionPhase : ipc::Phase { kAsked = 1 };

enum class Decision : uint8_t { kAccept, kReject, kDefer, kDiscard, kHold };
inline constexpr uint64_t kLastDecision = 4;

// A client came; answered by a Verdict. It counts against its limit until Disconnected.
struct ConnectQuestion {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kConnectQuestion;
  Ip client;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("client", m.client);
  }
};

// One connection of `client`, of those answered with kAccept, ended.
struct Disconnected {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kDisconnected;
  Ip client;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("client", m.client);
  }
};

// One RCPT command.
struct RecipientQuestion {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kRecipientQuestion;
  Ip client;               // kNone: local submission
  std::string local_user;  // local submission: the account the kernel named
  std::string login;       // SASL, empty: none
  std::string helo;
  std::string sender;              // reverse-path without <>, empty: null
  std::string recipient;           // forward-path without <>, route stripped
  bool routed_local_part = false;  // its local part holds %, ! or @: routing by another name (S07)
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("client", m.client);
    v("local_user", m.local_user, 64);
    v("login", m.login, 256);
    v("helo", m.helo, kMaxDomain);
    v("sender", m.sender, kMaxAddress);
    v("recipient", m.recipient, kMaxAddress);
    v("routed_local_part", m.routed_local_part);
  }
};

struct Verdict {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kVerdict;
  Decision decision = Decision::kDefer;
  RecipientClass kind = RecipientClass::kRemote;  // of a recipient accepted
  ReplyText reply;                                // what to say; code 0: smtpd's usual words
  std::string reason;                             // for the log
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("decision", m.decision, kLastDecision);
    v("kind", m.kind, kLastRecipientClass);
    v("reply", m.reply);
    v("reason", m.reason, kMaxReason);
  }
};

inline constexpr std::array kRules = {
    ipc::Rule{kConnectQuestion, ipc::Side::kA, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kDisconnected, ipc::Side::kA, ipc::In(ipc::kIdle), ipc::kIdle},
    ipc::Rule{kRecipientQuestion, ipc::Side::kA, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kVerdict, ipc::Side::kB, ipc::In(kAsked), ipc::kIdle},
};

}  // namespace postern::protocol::policy

namespace postern::protocol {

inline constexpr ipc::Edge kSmtpdPolicyd{.name = "smtpd-policyd",
                                         .rules = policy::kRules,
                                         .max_payload_octets = 16u << 10,
                                         .max_open = 8192};

}  // namespace postern::protocol
