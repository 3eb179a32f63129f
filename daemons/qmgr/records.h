// daemons/qmgr/records.h — what the queue's log consists of (FORMAT.md). Pure: bytes in, values
// out.
//
// A record: a header of kRecordHeaderOctets, a body (a field list, as in common/ipc/codec.h) and,
// for a message, its content. The checksums cover the segment's number and the sequence number too,
// so that a record of a former life of a reused file, or one in the wrong place, is no record.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/parse_error.h"
#include "common/ipc/codec.h"
#include "common/ipc/protocol/common.h"

namespace postern::qmgr {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr size_t kSegmentHeaderOctets = 64;
inline constexpr size_t kRecordHeaderOctets = 40;
inline constexpr size_t kRecordAlignment = 8;
// Bounds on what a record may claim; a larger one is damage.
inline constexpr uint32_t kMaxBodyOctets = 128u << 20;
inline constexpr uint32_t kMaxRecipients = 100'000;

enum class RecordType : uint8_t { kMessage = 1, kAttempt, kHold, kRelease, kRemove, kSeal };

struct RecordHeader {
  RecordType type = RecordType::kMessage;
  uint64_t sequence = 0;
  uint64_t queue_id = 0;
  uint32_t body_octets = 0;
  uint32_t content_octets = 0;  // kMessage: content held inline
  uint32_t body_crc = 0;        // over segment number, header fields and body
  uint32_t content_crc = 0;     // over the content

  size_t total() const {
    const size_t octets = kRecordHeaderOctets + size_t{body_octets} + content_octets;
    return (octets + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
  }
};

struct RecipientRecord {
  static constexpr bool kHasFields = true;
  std::string address;
  std::string orcpt;
  uint8_t notify = 0;
  protocol::RecipientClass kind = protocol::RecipientClass::kRemote;
  bool done = false;  // delivered, bounced or removed: when a message is copied forward
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("address", m.address, protocol::kMaxAddress);
    v("orcpt", m.orcpt, protocol::kMaxXtext);
    v("notify", m.notify);
    v("kind", m.kind, protocol::kLastRecipientClass);
    v("done", m.done);
  }
};

// kMessage. The content is inline behind the body, or a file of its own named by the queue id.
struct MessageRecord {
  static constexpr bool kHasFields = true;
  std::string sender;
  std::string envid;
  protocol::Ret ret = protocol::Ret::kNotGiven;
  protocol::Body body = protocol::Body::kSevenBit;
  bool smtputf8 = false;
  bool in_file = false;
  bool delay_notified = false;
  int64_t arrival_us = 0;
  uint64_t content_octets = 0;  // without `prepend`
  uint32_t attempts = 0;        // when copied forward
  int64_t next_attempt_us = 0;
  protocol::Ip client;
  std::string submitter;
  std::string hold_reason;  // not empty: held
  std::string prepend;
  std::vector<RecipientRecord> recipients;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("sender", m.sender, protocol::kMaxAddress);
    v("envid", m.envid, protocol::kMaxXtext);
    v("ret", m.ret, protocol::kLastRet);
    v("body", m.body, protocol::kLastBody);
    v("smtputf8", m.smtputf8);
    v("in_file", m.in_file);
    v("delay_notified", m.delay_notified);
    v("arrival_us", m.arrival_us);
    v("content_octets", m.content_octets);
    v("attempts", m.attempts);
    v("next_attempt_us", m.next_attempt_us);
    v("client", m.client);
    v("submitter", m.submitter, protocol::kMaxAddress);
    v("hold_reason", m.hold_reason, protocol::kMaxReason);
    v("prepend", m.prepend, protocol::kMaxPrependedHeaders);
    v("recipients", m.recipients, uint64_t{kMaxRecipients});
  }
};

// kAttempt: what an attempt (or a notice) brought. Recipients not named are as before.
struct RecipientAttempt {
  static constexpr bool kHasFields = true;
  uint32_t index = 0;
  bool done = false;
  std::string status;
  std::string diagnostic;
  bool remote_words = false;
  std::string remote;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("index", m.index);
    v("done", m.done);
    v("status", m.status, 16);
    v("diagnostic", m.diagnostic, protocol::kMaxReplyText);
    v("remote_words", m.remote_words);
    v("remote", m.remote, protocol::kMaxDomain);
  }
};
struct AttemptRecord {
  static constexpr bool kHasFields = true;
  uint32_t attempts = 0;
  int64_t at_us = 0;
  int64_t next_attempt_us = 0;
  bool delay_notified = false;
  std::vector<RecipientAttempt> recipients;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("attempts", m.attempts);
    v("at_us", m.at_us);
    v("next_attempt_us", m.next_attempt_us);
    v("delay_notified", m.delay_notified);
    v("recipients", m.recipients, uint64_t{kMaxRecipients});
  }
};

struct HoldRecord {
  static constexpr bool kHasFields = true;
  std::string reason;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("reason", m.reason, protocol::kMaxReason);
  }
};

struct EmptyRecord {  // kRelease, kRemove
  static constexpr bool kHasFields = true;
  template <class V, class M>
  static void Fields(V&, M&) {}
};

struct SegmentHeader {
  uint64_t number = 0;
  uint64_t first_sequence = 0;
};

// The first kSegmentHeaderOctets of a segment file.
std::string EncodeSegmentHeader(const SegmentHeader& header);
// Errors name what is there: another format, a newer version, damage.
Parsed<SegmentHeader> DecodeSegmentHeader(std::string_view bytes);
// Whether these octets say that a newer program wrote them; what else they say is not asked, for a
// newer header may be laid out and checked in another way.
bool IsOfNewerFormat(std::string_view bytes);
// Whether they begin as a header of ours does, whole or not.
bool BeginsAsASegment(std::string_view bytes);

// Appends a whole record, padded to kRecordAlignment. False if the body is out of bounds.
[[nodiscard]] bool AppendRecord(std::string& to, uint64_t segment, RecordType type,
                                uint64_t sequence, uint64_t queue_id, std::string_view body,
                                std::string_view content);
template <class Body>
[[nodiscard]] bool AppendRecord(std::string& to, uint64_t segment, RecordType type,
                                uint64_t sequence, uint64_t queue_id, const Body& body,
                                std::string_view content = {}) {
  std::string encoded;
  return ipc::Encode(body, encoded) &&
         AppendRecord(to, segment, type, sequence, queue_id, std::string_view(encoded), content);
}

// Reads the header at the start of `bytes`: an error if there is none (a torn tail, zeros, damage).
// The body's checksum is checked by CheckBody once it is at hand.
Parsed<RecordHeader> DecodeRecordHeader(std::string_view bytes);
bool CheckBody(const RecordHeader& header, uint64_t segment, std::string_view body);
bool CheckContent(const RecordHeader& header, std::string_view content);

}  // namespace postern::qmgr
