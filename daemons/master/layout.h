// daemons/master/layout.h — directories, listeners and the log: what master opens for the others.
#pragma once

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/config/settings.h"
#include "common/ipc/protocol/control.h"
#include "daemons/master/identities.h"

namespace postern::master {

// Makes the directories the configuration names, with the owners they need: run, log, spools (with
// what is in them), and the mailboxes' parent of an instance.
absl::Status MakeDirectories(const config::Settings& settings, const Identity& qmgr,
                             const std::vector<protocol::control::Account>& accounts);

struct OpenListener {
  protocol::control::ListenerKind kind = protocol::control::ListenerKind::kSmtp;
  std::string name;
  UniqueFd fd;
};

// smtp.listen and smtp.socket; sockets passed by the service manager (LISTEN_FDS) serve the
// addresses they are bound to.
absl::StatusOr<std::vector<OpenListener>> OpenListeners(const config::Settings& settings);
// A Unix stream socket at `path`, replacing a stale one; `mode` as for chmod.
absl::StatusOr<UniqueFd> ListenUnix(const std::string& path, unsigned mode);

// Where the log's lines go, opened for appending (or connected).
absl::StatusOr<UniqueFd> OpenLog(const config::Settings& settings);

}  // namespace postern::master
