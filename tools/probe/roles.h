// tools/probe/roles.h — the roles that have a profile, with grants as a configuration would give
// them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/io/loop.h"
#include "sandbox/profile.h"
#include "tools/probe/stage.h"

namespace postern::probe {

// "smtpd", "policyd", ...: every daemon but master, which has no filter (sandbox/README.md).
const std::vector<std::string>& RoleNames();

struct Role {
  sandbox::Profile profile;
  // What main enters before it opens what the profile grants.
  sandbox::Namespaces namespaces;
  io::LoopOptions loop;  // as the daemon's main asks for
};

// `name` must be one of RoleNames(). Spool and mailbox are the stage's; ports are those of mail and
// name servers.
Role MakeRole(std::string_view name, sandbox::Backend backend, const Stage& stage);

}  // namespace postern::probe
