// daemons/master/identities.h — which user each daemon and each local account runs as.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/settings.h"
#include "common/ipc/protocol/control.h"

namespace postern::master {

struct Identity {
  bool drop = false;  // false: master is not root, everything runs as its user
  uid_t uid = 0;
  gid_t gid = 0;
};

// Started as root: an installed server's daemons run as postern-<role> (sysusers.d); an instance
// under a directory of its own takes numbers from master.uid_base on, or from kInstanceUidBase, and
// /etc/passwd is not asked. Errors: kNotFound names the user that is missing and how to make it.
inline constexpr uid_t kInstanceUidBase = 64200;
absl::StatusOr<Identity> IdentityOf(protocol::control::Role role, const config::Settings& settings);

// The accounts that get mail: those named in local.users, or with "*" the system's accounts with
// uids of persons. Never root. An instance's accounts get numbers behind its daemons', each the one
// that its mailbox belongs to already, if that exists.
absl::StatusOr<std::vector<protocol::control::Account>> Accounts(const config::Settings& settings);

// local.mailbox with {user} and {home} filled in. The name is checked by the caller: one path
// component.
std::string MailboxPath(const std::string& pattern, const std::string& user,
                        const std::string& home);

// Whether `name` is safe as an account and as a path component.
bool IsAccountName(std::string_view name);

}  // namespace postern::master
