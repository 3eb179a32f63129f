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
  std::string name;  // "smtpd.0"

  enum class State { kStarting, kReady, kStopping, kDead } state = State::kDead;
  pid_t pid = 0;
  std::unique_ptr<ipc::Channel> control;
  std::unique_ptr<ipc::FrameHandler> handler;
  uint32_t restarts = 0;
  uint32_t failures = 0;  // deaths in a row, for the back-off
  absl::Time since;
  io::Deadline restart_at;  // kDead
  io::Deadline last_pong;
  std::string backend;
  std::string layers;
  std::string counters;
  std::string account;  // deliver: whose mailbox
};

}  // namespace postern::master
