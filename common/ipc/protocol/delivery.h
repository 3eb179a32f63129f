// common/ipc/protocol/delivery.h — qmgr (A) gives messages out for delivery to smtpc and locald
// (B).
//
// A job is one message for recipients of one next hop. Its content comes inline or as a read-only
// descriptor. Results are per recipient and may come in several messages; JobDone ends the job, and
// recipients without a result are then deferred. A worker says how many jobs it takes at once.
#pragma once

#include <sys/stat.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/frame.h"
#include "common/ipc/protocol/common.h"

namespace postern::protocol::delivery {

enum Type : uint8_t { kJob = 1, kCancelJob, kResults, kJobDone, kCapacity };
enum JobPhase : ipc::Phase { kRunning = 1 };

inline constexpr size_t kMaxJobs = 4096;  // open at once on one edge

enum class Transport : uint8_t { kSmtp, kLmtp, kLocal };
inline constexpr uint64_t kLastTransport = 2;

struct JobRecipient {
  static constexpr bool kHasFields = true;
  uint32_t index = 0;  // in the message's envelope; results name it
  std::string address;
  std::string orcpt;
  uint8_t notify = 0;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("index", m.index);
    v("address", m.address, kMaxAddress);
    v("orcpt", m.orcpt, kMaxXtext);
    v("notify", m.notify);
  }
};

struct Job {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kJob;
  uint64_t queue_id = 0;
  Transport transport = Transport::kSmtp;
  // The next hop: kSmtp/kLmtp with `host` set goes there ("name:port" or "address:port", no MX
  // look-up), with `socket_path` to that Unix socket, otherwise to the MX hosts of `domain`.
  std::string domain;
  std::string host;
  uint16_t port = 0;
  std::string socket_path;
  std::string sender;
  std::string envid;
  Ret ret = Ret::kNotGiven;
  Body body = Body::kSevenBit;
  bool smtputf8 = false;
  int64_t arrival_us = 0;       // wall clock, microseconds since 1970
  uint64_t content_octets = 0;  // all of it
  uint64_t content_offset = 0;  // where it begins in the descriptor
  // What comes before the content in the descriptor (headers prepended on arrival), or, without a
  // descriptor, everything.
  std::string_view inline_content;
  std::vector<JobRecipient> recipients;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("queue_id", m.queue_id);
    v("transport", m.transport, kLastTransport);
    v("domain", m.domain, kMaxDomain);
    v("host", m.host, kMaxDomain);
    v("port", m.port);
    v("socket_path", m.socket_path, 108);
    v("sender", m.sender, kMaxAddress);
    v("envid", m.envid, kMaxXtext);
    v("ret", m.ret, kLastRet);
    v("body", m.body, kLastBody);
    v("smtputf8", m.smtputf8);
    v("arrival_us", m.arrival_us);
    v("content_octets", m.content_octets);
    v("content_offset", m.content_offset);
    v("inline_content", m.inline_content, kMaxInlineContent);
    v("recipients", m.recipients, kMaxRecipientsPerPiece);
  }
};

// qmgr wants no more of it (the message was removed); JobDone still comes, or has crossed this.
using CancelJob = Empty<Type::kCancelJob>;

enum class Outcome : uint8_t {
  kDelivered,  // final delivery, or a next hop that does DSN itself
  kRelayed,    // taken by a next hop without DSN (RFC 3461 §5.2.2)
  kDeferred,
  kFailed,  // an explicit 5yz or a rule of the RFCs: bounce
};
inline constexpr uint64_t kLastOutcome = 3;

struct Result {
  static constexpr bool kHasFields = true;
  uint32_t index = 0;
  Outcome outcome = Outcome::kDeferred;
  std::string status;         // RFC 3463, "2.0.0"
  std::string diagnostic;     // the remote's words ("550 5.1.1 ...") or our reason
  bool remote_words = false;  // the diagnostic is a reply of `remote`
  std::string remote;         // host that said so, "mx.example.net [192.0.2.1]", or empty
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("index", m.index);
    v("outcome", m.outcome, kLastOutcome);
    v("status", m.status, 16);
    v("diagnostic", m.diagnostic, kMaxReplyText);
    v("remote_words", m.remote_words);
    v("remote", m.remote, kMaxDomain);
  }
};

struct Results {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kResults;
  std::vector<Result> results;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("results", m.results, kMaxRecipientsPerPiece);
  }
};

// What the job taught about its destination, apart from its recipients.
enum class Destination : uint8_t { kHealthy, kBusy, kUnreachable };
inline constexpr uint64_t kLastDestination = 2;

struct JobDone {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kJobDone;
  Destination destination = Destination::kHealthy;
  std::string reason;  // of kBusy and kUnreachable
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("destination", m.destination, kLastDestination);
    v("reason", m.reason, kMaxReason);
  }
};

struct Capacity {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kCapacity;
  uint32_t jobs = 0;  // that the worker takes at once, at most kMaxJobs
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("jobs", m.jobs);
  }
};

inline constexpr std::array kRules = {
    ipc::Rule{kJob, ipc::Side::kA, ipc::In(ipc::kIdle), kRunning, ipc::Descriptor::kOptional},
    ipc::Rule{kCancelJob, ipc::Side::kA, ipc::In(ipc::kIdle, kRunning), ipc::kStay},
    ipc::Rule{kResults, ipc::Side::kB, ipc::In(kRunning), ipc::kStay},
    ipc::Rule{kJobDone, ipc::Side::kB, ipc::In(kRunning), ipc::kIdle},
    ipc::Rule{kCapacity, ipc::Side::kB, ipc::In(ipc::kIdle), ipc::kIdle},
};

inline constexpr size_t kMaxPayload =
    kMaxInlineContent + kMaxRecipientsPerPiece * (kMaxAddress + kMaxXtext + 64) + 8192;

}  // namespace postern::protocol::delivery
