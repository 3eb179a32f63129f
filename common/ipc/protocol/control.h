// common/ipc/protocol/control.h — master (A) and each daemon (B).
//
// At start the daemon reads Configure, its edges, listeners and the log, then Begin; it confines
// itself and says Ready. Later come fresh edge ends when a neighbour was restarted, a new
// configuration on reload, listeners more or fewer, pings, and Stop. The daemon asks nothing of
// master, with one exception: locald asks for a `deliver` that runs as one user.
#pragma once

#include <sys/stat.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/frame.h"
#include "common/ipc/protocol/common.h"

namespace postern::protocol::control {

enum Type : uint8_t {
  kConfigure = 1,
  kEdgeEnd,
  kListenerEnd,
  kLogEnd,
  kBegin,
  kReady,
  kReload,
  kReloaded,
  kStop,
  kPing,
  kPong,
  kWantDeliver,
  kDeliverEnd,
  kListenerGone,
  kMapIds,
  kMoved,
};
enum ControlPhase : ipc::Phase { kAsked = 1 };

enum class Role : uint8_t {
  kMaster,
  kSmtpd,
  kPolicyd,
  kResolvd,
  kQmgr,
  kSmtpc,
  kLocald,
  kDeliver,
  kBounced
};
inline constexpr uint64_t kLastRole = 8;
// "smtpd", "policyd", ...
const char* RoleName(Role role);

// A local account that may get mail, as master read it from the configuration and the system.
struct Account {
  static constexpr bool kHasFields = true;
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string home;
  std::string mailbox;  // absolute path of the Maildir or mbox
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("name", m.name, 64);
    v("uid", m.uid);
    v("gid", m.gid);
    v("home", m.home, 4096);
    v("mailbox", m.mailbox, 4096);
  }
};

inline constexpr uint64_t kMaxConfiguration = 1u << 20;
inline constexpr uint64_t kMaxAccounts = 10'000;

// The configuration, which master has checked as a whole, and what goes with it.
struct Configuration {
  static constexpr bool kHasFields = true;
  std::string toml;
  std::string file_name;
  std::string base_directory;  // what a relative `root` is relative to
  // The text that master started with, if another: settings that need a restart are taken from it.
  std::string started_toml;
  std::vector<Account> accounts;  // for policyd, locald and deliver only (deliver: its one)
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("toml", m.toml, kMaxConfiguration);
    v("file_name", m.file_name, 4096);
    v("base_directory", m.base_directory, 4096);
    v("started_toml", m.started_toml, kMaxConfiguration);
    v("accounts", m.accounts, kMaxAccounts);
  }
};

struct Configure {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kConfigure;
  Role role = Role::kMaster;
  uint32_t index = 0;     // worker number (smtpd, smtpc), shard number (qmgr)
  bool drop_ids = false;  // master is root: become uid, gid
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint8_t origin = 0;  // the origin part of queue ids this process makes
  Configuration configuration;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("role", m.role, kLastRole);
    v("index", m.index);
    v("drop_ids", m.drop_ids);
    v("uid", m.uid);
    v("gid", m.gid);
    v("origin", m.origin);
    v("configuration", m.configuration);
  }
};

enum class EdgeKind : uint8_t {
  kSmtpdPolicyd,
  kSmtpdQmgr,
  kQmgrSmtpc,
  kQmgrLocald,
  kQmgrBounced,
  kBouncedQmgr,
  kSmtpcResolvd,
  kLocaldDeliver,
};
inline constexpr uint64_t kLastEdgeKind = 7;

// One end of an edge, with its descriptor. A second end of the same kind and peer replaces the
// first.
struct EdgeEnd {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kEdgeEnd;
  EdgeKind kind = EdgeKind::kSmtpdPolicyd;
  uint32_t peer_index = 0;  // which worker or shard is at the other end
  uint8_t peer_origin = 0;  // the origin part of queue ids the peer may use
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("kind", m.kind, kLastEdgeKind);
    v("peer_index", m.peer_index);
    v("peer_origin", m.peer_origin);
  }
};

enum class ListenerKind : uint8_t { kSmtp, kSubmissionSocket, kAdminSocket };
inline constexpr uint64_t kLastListenerKind = 2;

struct ListenerEnd {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kListenerEnd;
  ListenerKind kind = ListenerKind::kSmtp;
  std::string name;  // "192.0.2.1:25" or a path
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("kind", m.kind, kLastListenerKind);
    v("name", m.name, 4096);
  }
};

// Take no further connections from the listener of that name; those that came stay.
struct ListenerGone {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kListenerGone;
  std::string name;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("name", m.name, 4096);
  }
};

// The descriptor log lines go to (also after log rotation).
using LogEnd = Empty<Type::kLogEnd>;
using Begin = Empty<Type::kBegin>;

// Between Begin and Ready a daemon enters namespaces of its own. Both messages come with the end of
// a pipe into which master writes its answer, since frames are for the loop to read: kOutsideDone,
// or why not.
inline constexpr std::string_view kOutsideDone = "done";
inline constexpr size_t kMaxOutsideAnswer = 512;

// The process `pid`, which is in a new user namespace, needs the ids of our own.
struct MapIds {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kMapIds;
  uint32_t pid = 0;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("pid", m.pid);
  }
};
// The daemon is the process `pid` from now on; the one that was started ends.
struct Moved {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kMoved;
  uint32_t pid = 0;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("pid", m.pid);
  }
};

// The daemon is confined and serves.
struct Ready {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kReady;
  std::string backend;  // "uring" or "epoll"
  std::string layers;   // "namespaces:6 ids landlock:7 ring:14 rlimits:3 seccomp:31"
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("backend", m.backend, 16);
    v("layers", m.layers, 512);
  }
};

struct Reload {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kReload;
  Configuration configuration;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("configuration", m.configuration);
  }
};

struct Reloaded {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kReloaded;
  std::string error;     // empty: in force
  bool restart = false;  // only a new process can take it: stop this one, and start that at once
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("error", m.error, kMaxReason);
    v("restart", m.restart);
  }
};

// Take nothing new, finish what is in hand within the time, exit 0.
struct Stop {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kStop;
  uint32_t within_ms = 0;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("within_ms", m.within_ms);
  }
};

using Ping = Empty<Type::kPing>;
struct Counter {
  static constexpr bool kHasFields = true;
  std::string name;
  uint64_t value = 0;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("name", m.name, 64);
    v("value", m.value);
  }
};
struct Pong {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kPong;
  std::vector<Counter> counters;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("counters", m.counters, 64);
  }
};

// locald only: a process that runs as `user` and writes to that account's mailbox alone.
struct WantDeliver {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kWantDeliver;
  std::string user;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("user", m.user, 64);
  }
};
// With locald's end of the edge, or with the reason why not.
struct DeliverEnd {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = Type::kDeliverEnd;
  std::string error;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("error", m.error, kMaxReason);
  }
};

inline constexpr std::array kRules = {
    ipc::Rule{kConfigure, ipc::Side::kA, ipc::In(ipc::kIdle), ipc::kIdle},
    ipc::Rule{kEdgeEnd, ipc::Side::kA, ipc::In(ipc::kIdle), ipc::kIdle, ipc::Descriptor::kRequired},
    ipc::Rule{kListenerEnd, ipc::Side::kA, ipc::In(ipc::kIdle), ipc::kIdle,
              ipc::Descriptor::kRequired},
    ipc::Rule{kLogEnd, ipc::Side::kA, ipc::In(ipc::kIdle), ipc::kIdle, ipc::Descriptor::kRequired},
    ipc::Rule{kBegin, ipc::Side::kA, ipc::In(ipc::kIdle), ipc::kIdle},
    ipc::Rule{kReady, ipc::Side::kB, ipc::In(ipc::kIdle), ipc::kIdle},
    ipc::Rule{kReload, ipc::Side::kA, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kReloaded, ipc::Side::kB, ipc::In(kAsked), ipc::kIdle},
    ipc::Rule{kStop, ipc::Side::kA, ipc::In(ipc::kIdle), ipc::kIdle},
    ipc::Rule{kPing, ipc::Side::kA, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kPong, ipc::Side::kB, ipc::In(kAsked), ipc::kIdle},
    ipc::Rule{kWantDeliver, ipc::Side::kB, ipc::In(ipc::kIdle), kAsked},
    ipc::Rule{kDeliverEnd, ipc::Side::kA, ipc::In(kAsked), ipc::kIdle, ipc::Descriptor::kOptional},
    ipc::Rule{kListenerGone, ipc::Side::kA, ipc::In(ipc::kIdle), ipc::kIdle},
    ipc::Rule{kMapIds, ipc::Side::kB, ipc::In(ipc::kIdle), ipc::kIdle, ipc::Descriptor::kRequired},
    ipc::Rule{kMoved, ipc::Side::kB, ipc::In(ipc::kIdle), ipc::kIdle, ipc::Descriptor::kRequired},
};

}  // namespace postern::protocol::control

namespace postern::protocol {

inline constexpr ipc::Edge kControl{
    .name = "control", .rules = control::kRules, .max_payload_octets = 16u << 20, .max_open = 256};

}  // namespace postern::protocol
