// daemons/master/child.h — one daemon process as master knows it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/io/event.h"
#include "common/io/scope.h"
#include "common/ipc/channel.h"
#include "common/ipc/protocol/control.h"
#include "daemons/master/backoff.h"
#include "daemons/master/identities.h"

namespace postern::master {

// Forks and executes the program of `role` with its end of a socket pair as descriptor 3; master's
// end.
struct Spawned {
  pid_t pid = 0;
  UniqueFd control;
};
absl::StatusOr<Spawned> Spawn(const std::string& program);

// The program of a role: beside master (installed), or in its own folder of the build tree.
absl::StatusOr<std::string> ProgramOf(protocol::control::Role role);

// A socket pair for an edge.
absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakePair();

// One more descriptor of the same file, to be sent away; above the numbers that children start
// with.
UniqueFd Duplicate(const UniqueFd& fd);

struct Child {
  protocol::control::Role role = protocol::control::Role::kMaster;
  uint32_t index = 0;
  uint8_t origin = 0;
  Identity identity;
  std::string name;     // "smtpd.0"
  std::string account;  // deliver: whose mailbox

  enum class State { kStarting, kReady, kStopping, kDead } state = State::kDead;
  pid_t pid = 0;
  bool moved = false;       // `pid` is the successor of what we started, in namespaces of its own
  bool confined = false;    // it said Ready
  absl::Time since;         // for people; the last start
  io::Deadline started_at;  // the same
  io::Deadline last_pong;

  std::unique_ptr<ipc::Channel> control;
  std::unique_ptr<ipc::FrameHandler> handler;
  bool listening = false;  // a task reads from `control`, so both must stay

  Backoff backoff;
  uint32_t restarts = 0;    // after a death that nobody asked for
  io::Deadline restart_at;  // kDead
  // One worker too many: it is not started again. It first ends its sessions by itself, until
  // `drain_until`, and is then told to stop.
  bool surplus = false;
  bool draining = false;
  io::Deadline drain_until;
  io::Deadline kill_at;  // kStopping: how long it may take (Never: until all stop)

  // What it says of itself.
  std::string backend;
  std::string layers;
  std::string counters;
  uint64_t sessions = 0;
};

}  // namespace postern::master
