// common/ipc/protocol/smtpc_resolvd.h — smtpc (A) asks resolvd (B) for DNS records.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "common/ipc/frame.h"
#include "common/ipc/protocol/common.h"

namespace postern::protocol::dns {

enum Type : uint8_t { kQuestion = 1, kAnswer };
enum QuestionPhase : ipc::Phase { kAsked = 1 };

inline constexpr uint64_t kMaxRecords = 256;
inline constexpr uint64_t kMaxData = 4096;

enum class RecordType : uint16_t {
  kA = 1,
  kCname = 5,
  kPtr = 12,
  kMx = 15,
  kTxt = 16,
  kAaaa = 28,
  kTlsa = 52
};

struct Question {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kQuestion;
  std::string name;  // text form, lower-case A-labels, no trailing dot
  RecordType type = RecordType::kA;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("name", m.name, 255);
    v("type", m.type, uint64_t{52});
  }
};

// By type: kA, kAaaa 4 or 16 octets; kMx `preference` and the host's name; kPtr, kCname a name;
// kTxt the strings joined; kTlsa usage, selector, matching type (an octet each) and the data. Names
// are in text form without the trailing dot; the root is ".".
struct Record {
  static constexpr bool kHasFields = true;
  uint16_t preference = 0;
  std::string data;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("preference", m.preference);
    v("data", m.data, kMaxData);
  }
};

enum class Status : uint8_t { kFound, kNoData, kNoDomain, kTemporaryFailure };
enum class Security : uint8_t { kUnknown, kInsecure, kSecure };

struct Answer {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kAnswer;
  Status status = Status::kTemporaryFailure;
  Security security = Security::kUnknown;
  std::string canonical_name;  // where a CNAME chain led; the name asked for if there was none
  uint32_t ttl_seconds = 0;
  std::string reason;  // of kTemporaryFailure, for the log
  std::vector<Record> records;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("status", m.status, uint64_t{3});
    v("security", m.security, uint64_t{2});
    v("canonical_name", m.canonical_name, 255);
    v("ttl_seconds", m.ttl_seconds);
    v("reason", m.reason, kMaxReason);
    v("records", m.records, kMaxRecords);
  }
};

inline constexpr std::array kRules = {
    ipc::Rule{kQuestion, ipc::Side::kA, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kAnswer, ipc::Side::kB, ipc::In(kAsked), ipc::kIdle},
};

}  // namespace postern::protocol::dns

namespace postern::protocol {

inline constexpr ipc::Edge kSmtpcResolvd{.name = "smtpc-resolvd",
                                         .rules = dns::kRules,
                                         .max_payload_octets = 64u << 10,
                                         .max_open = 4096};

}  // namespace postern::protocol
