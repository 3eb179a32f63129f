// tools/probe/stage.h — what acts aim at: scratch files, sockets and a process, all the probe's
// own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "sandbox/confine.h"

namespace postern::probe {

// Lives until the end of the run; its end removes the files and ends the process.
class Stage {
 public:
  // Files go below `parent` ("/tmp"). As root the probe first gets name spaces of its own, where
  // they are to be had, so that no act reaches the machine's mounts, names, objects or network.
  static absl::StatusOr<std::unique_ptr<Stage>> Make(const std::string& parent,
                                                     const sandbox::Identity& identity);
  Stage(const Stage&) = delete;
  ~Stage();

  // Scratch files as they were at first: what one act removed or made, the next shall not find.
  absl::Status TidyUp();

  // In `directory`: readable (0644), writable (0666), secret (0600, root's if the probe is),
  // program (0755, of no format), an open directory (0777), a socket.
  std::string directory;
  std::string readable, writable, secret, program, open_directory, unix_path;
  std::string abstract_name;  // of a listening socket, without the zero in front
  // The role's own, as the configuration would name them; each holds a file, a link that leads out,
  // and a file of root's.
  std::string spool, mailbox;
  uint16_t tcp_port = 0, tcp6_port = 0, udp_port = 0;  // somebody listens, on loopback
  pid_t victim = 0;                                    // of the role's uid, dumpable, asleep

  // Inherited by whoever tries.
  UniqueFd edge, edge_peer;  // a socket pair
  UniqueFd tcp;              // a connection
  UniqueFd listener;
  UniqueFd victim_pidfd, uts_namespace, program_fd, writable_fd;

 private:
  Stage() = default;
  absl::Status MakeFiles();
  absl::Status MakeSockets();
  absl::Status MakeVictim();
  absl::Status MakeDescriptors();

  sandbox::Identity identity_;
  std::vector<UniqueFd> kept_;
};

// Becomes `identity` but stays open to its like: for processes that stand in for a sibling.
absl::Status BecomeSibling(const sandbox::Identity& identity);

}  // namespace postern::probe
