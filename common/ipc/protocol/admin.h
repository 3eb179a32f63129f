// common/ipc/protocol/admin.h — the operator's tool (A) and qmgr or master (B), over a Unix socket
// in the run directory. The kernel's peer credentials say who asks: root and the server's own uid
// may.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/frame.h"
#include "common/ipc/protocol/common.h"

namespace postern::protocol::admin {

enum Type : uint8_t {
  kList = 1,
  kListed,
  kShow,
  kShown,
  kShownContent,
  kAct,
  kActed,
  kDestinations,
  kDestinationsListed,
  kProcesses,
  kProcessesListed,
  kReload,
  kReloaded,
};
enum AdminPhase : ipc::Phase { kAsked = 1 };

enum class State : uint8_t { kActive, kDeferred, kHeld };
inline constexpr uint64_t kLastState = 2;

struct Recipient {
  static constexpr bool kHasFields = true;
  std::string address;
  std::string orcpt;
  bool done = false;   // delivered or bounced: listed by Show only
  std::string status;  // of the last attempt, or empty
  std::string diagnostic;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("address", m.address, kMaxAddress);
    v("orcpt", m.orcpt, kMaxXtext);
    v("done", m.done);
    v("status", m.status, 16);
    v("diagnostic", m.diagnostic, kMaxReplyText);
  }
};

struct Message {
  static constexpr bool kHasFields = true;
  uint64_t queue_id = 0;
  State state = State::kActive;
  std::string hold_reason;
  std::string sender;
  int64_t arrival_us = 0;
  int64_t next_attempt_us = 0;  // kDeferred
  uint32_t attempts = 0;
  uint64_t octets = 0;
  // List: at most three, undelivered ones that fit the question; Show: a page of all of them.
  std::vector<Recipient> recipients;
  uint32_t recipient_count = 0;  // undelivered, whether listed or not
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("queue_id", m.queue_id);
    v("state", m.state, kLastState);
    v("hold_reason", m.hold_reason, kMaxReason);
    v("sender", m.sender, kMaxAddress);
    v("arrival_us", m.arrival_us);
    v("next_attempt_us", m.next_attempt_us);
    v("attempts", m.attempts);
    v("octets", m.octets);
    v("recipients", m.recipients, kMaxRecipientsPerPiece);
    v("recipient_count", m.recipient_count);
  }
};

// A page of the queue in order of arrival (by queue id), from behind `after`.
struct List {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kList;
  uint64_t after = 0;
  uint32_t limit = 100;  // at most 500
  bool only_state = false;
  State state = State::kActive;
  // If not empty: only this sender's; only those with such a recipient among the undelivered, of
  // whom all are looked at. An address, "@domain", or "<>" for the null sender; case is ignored.
  std::string sender;
  std::string recipient;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("after", m.after);
    v("limit", m.limit);
    v("only_state", m.only_state);
    v("state", m.state, kLastState);
    v("sender", m.sender, kMaxAddress);
    v("recipient", m.recipient, kMaxAddress);
  }
};
struct Listed {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kListed;
  std::vector<Message> messages;
  bool more = false;       // ask again with `after` = the last one's id
  uint64_t last_seen = 0;  // where to go on even if the page is empty
  // Totals of the shard: messages, whatever was asked for. A message is deferred when all that is
  // left of it waits for its time.
  uint64_t active = 0;
  uint64_t deferred = 0;
  uint64_t held = 0;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("messages", m.messages, 500);
    v("more", m.more);
    v("last_seen", m.last_seen);
    v("active", m.active);
    v("deferred", m.deferred);
    v("held", m.held);
  }
};

struct Show {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kShow;
  uint64_t queue_id = 0;
  bool content = false;
  uint32_t from = 0;  // index of the first recipient of the page of kMaxRecipientsPerPiece
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("queue_id", m.queue_id);
    v("content", m.content);
    v("from", m.from);
  }
};
// ShownContent pieces, if asked for, come before Shown.
struct ShownContent {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kShownContent;
  std::string_view bytes;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("bytes", m.bytes, kMaxContentPiece);
  }
};
struct Shown {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kShown;
  std::string error;  // not found, unreadable; empty: `message` is set
  Message message;
  std::string envid;
  std::string submitter;
  uint32_t next = 0;  // `from` of the next page; 0: this was the last
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("error", m.error, kMaxReason);
    v("message", m.message);
    v("envid", m.envid, kMaxXtext);
    v("submitter", m.submitter, kMaxAddress);
    v("next", m.next);
  }
};

enum class Verb : uint8_t { kHold, kRelease, kRequeue, kDelete, kFlush };
// kRequeue and kFlush: try again now (one message; all, or those for `destination`).
struct Act {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kAct;
  Verb verb = Verb::kHold;
  bool all = false;
  uint64_t queue_id = 0;
  std::string destination;
  std::string reason;  // for the log, and shown with a held message
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("verb", m.verb, uint64_t{4});
    v("all", m.all);
    v("queue_id", m.queue_id);
    v("destination", m.destination, kMaxDomain);
    v("reason", m.reason, kMaxReason);
  }
};
// After it the change is durable.
struct Acted {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kActed;
  uint64_t count = 0;  // messages
  std::string error;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("count", m.count);
    v("error", m.error, kMaxReason);
  }
};

using Destinations = Empty<Type::kDestinations>;
struct Destination {
  static constexpr bool kHasFields = true;
  std::string name;
  uint32_t window = 0;
  uint32_t in_flight = 0;
  uint64_t waiting = 0;
  uint32_t failures = 0;
  int64_t next_attempt_us = 0;
  std::string last_error;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("name", m.name, kMaxDomain);
    v("window", m.window);
    v("in_flight", m.in_flight);
    v("waiting", m.waiting);
    v("failures", m.failures);
    v("next_attempt_us", m.next_attempt_us);
    v("last_error", m.last_error, kMaxReason);
  }
};
struct DestinationsListed {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kDestinationsListed;
  std::vector<Destination> destinations;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("destinations", m.destinations, 1000);
  }
};

// Asked of master: `postern ps`.
using Processes = Empty<Type::kProcesses>;
struct Process {
  static constexpr bool kHasFields = true;
  std::string name;  // "smtpd.0"
  uint32_t pid = 0;
  uint32_t uid = 0;
  std::string state;  // "ready", "starting", "restarting in 2s"
  uint32_t restarts = 0;
  int64_t since_us = 0;
  std::string backend;
  std::string layers;
  std::string counters;  // "sessions=3 accepted=17"
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("name", m.name, 64);
    v("pid", m.pid);
    v("uid", m.uid);
    v("state", m.state, 64);
    v("restarts", m.restarts);
    v("since_us", m.since_us);
    v("backend", m.backend, 16);
    v("layers", m.layers, 512);
    v("counters", m.counters, 1024);
  }
};
struct ProcessesListed {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kProcessesListed;
  std::vector<Process> processes;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("processes", m.processes, 1000);
  }
};

// Asked of master: `postern reload`. The answer comes when every process has the new settings.
using Reload = Empty<Type::kReload>;
struct Reloaded {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kReloaded;
  std::string error;                       // nothing has changed; one problem a line
  std::vector<std::string> needs_restart;  // keys whose new values are not in force
  std::vector<std::string> failures;       // processes that did not take it: "smtpd.0: why"
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("error", m.error, 64u << 10);
    v("needs_restart", m.needs_restart, 256, 128);
    v("failures", m.failures, 256, kMaxReason);
  }
};

inline constexpr std::array kRules = {
    ipc::Rule{kList, ipc::Side::kA, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kListed, ipc::Side::kB, ipc::In(kAsked), ipc::kIdle},
    ipc::Rule{kShow, ipc::Side::kA, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kShownContent, ipc::Side::kB, ipc::In(kAsked), kAsked},
    ipc::Rule{kShown, ipc::Side::kB, ipc::In(kAsked), ipc::kIdle},
    ipc::Rule{kAct, ipc::Side::kA, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kActed, ipc::Side::kB, ipc::In(kAsked), ipc::kIdle},
    ipc::Rule{kDestinations, ipc::Side::kA, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kDestinationsListed, ipc::Side::kB, ipc::In(kAsked), ipc::kIdle},
    ipc::Rule{kProcesses, ipc::Side::kA, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kProcessesListed, ipc::Side::kB, ipc::In(kAsked), ipc::kIdle},
    ipc::Rule{kReload, ipc::Side::kA, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kReloaded, ipc::Side::kB, ipc::In(kAsked), ipc::kIdle},
};

}  // namespace postern::protocol::admin

namespace postern::protocol {

inline constexpr ipc::Edge kAdmin{
    .name = "admin", .rules = admin::kRules, .max_payload_octets = 16u << 20, .max_open = 4};

}  // namespace postern::protocol
