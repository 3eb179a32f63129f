// daemons/master/listening.h — the sockets on which mail comes in: ours, and those that the service
// manager made (socket activation, sd_listen_fds(3)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "common/base/ip.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/config/settings.h"
#include "common/ipc/protocol/control.h"

namespace postern::master {

struct OpenListener {
  protocol::control::ListenerKind kind = protocol::control::ListenerKind::kSmtp;
  std::string name;  // "192.0.2.1:25" or the path of a Unix socket
  UniqueFd fd;
  bool passed = false;  // the service manager has it too: never removed from the file system
};

// What becomes of a socket that is there already and on which somebody listens.
enum class Present { kRefuse, kReplace };

// A Unix stream socket at `path`, replacing one that nobody listens on any more; `mode` as for
// chmod. Errors: kFailedPrecondition something else is there, or somebody listens.
absl::StatusOr<UniqueFd> ListenUnix(const std::string& path, unsigned mode,
                                    Present present = Present::kRefuse);

// The sockets in LISTEN_FDS, if LISTEN_PID is us; the variables are taken away, so that no child
// believes in them. Sets nothing that belongs to the open socket but O_NONBLOCK and TCP_NODELAY:
// the service manager's copy stays fit to listen.
// Errors: kInvalidArgument  a descriptor is no listening stream socket; the message has its name of
//                           LISTEN_FDNAMES
absl::StatusOr<std::vector<OpenListener>> TakePassedSockets();

class Listeners {
 public:
  struct Change {
    std::vector<OpenListener> added;
    std::vector<std::string> removed;
  };

  // Sockets that the service manager passed, for the addresses they are bound to.
  void AddSpare(std::vector<OpenListener> passed) { spare_ = std::move(passed); }
  // Those of them that nothing asked for: kInvalidArgument, with their names and addresses.
  absl::Status CheckSpare() const;

  // What smtp.listen and smtp.socket add and take away. Opens all that is new, or fails; nothing
  // here has changed so far. `patient`: an address may be in use by what is just ending of a server
  // before us, so it is tried for that long.
  absl::StatusOr<Change> Prepare(const config::Smtp& smtp,
                                 absl::Duration patient = absl::ZeroDuration());
  // Puts it in force.
  void Apply(Change change);

  const std::vector<OpenListener>& all() const { return listeners_; }
  // "127.0.0.1:25 /run/postern/submit"
  std::string Names() const;
  // Closes all, and removes the files of our Unix sockets.
  void Close();

 private:
  bool Has(std::string_view name) const;
  absl::StatusOr<OpenListener> Open(OpenListener wanted, const SocketAddress* address,
                                    absl::Duration patient);

  std::vector<OpenListener> listeners_;
  std::vector<OpenListener> spare_;  // passed, not wanted now
};

}  // namespace postern::master
