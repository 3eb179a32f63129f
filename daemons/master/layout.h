// daemons/master/layout.h — directories and the log: what master makes for the others.
#pragma once

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/config/settings.h"
#include "common/ipc/protocol/control.h"
#include "common/log/log.h"
#include "daemons/master/identities.h"

namespace postern::master {

// Makes the directory of the sockets and of the process id.
absl::Status MakeRunDirectory(const config::Settings& settings);

// Makes the other directories the configuration names, with the owners they need: log, spools (with
// what is in them), and the mailboxes of an instance. What is there is kept.
// Errors: kFailedPrecondition  something is in the way, or belongs to somebody else
//         others               as of mkdir(2) and chown(2), with the path
absl::Status MakeDirectories(const config::Settings& settings, const Identity& qmgr,
                             const std::vector<protocol::control::Account>& accounts);

// Where the log's lines go, opened for appending (or connected), never blocking.
absl::StatusOr<UniqueFd> OpenLog(const config::Settings& settings);
log::SinkKind SinkOf(const config::Log& log);
log::Format FormatOf(const config::Log& log);

}  // namespace postern::master
