// daemons/master/id_map.h — user and group ids of a daemon's user namespace: the same as ours.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/base/status.h"

namespace postern::master {

// The map (user_namespaces(7)) that gives a new namespace all ids of ours under their own numbers.
// `own`: our /proc/self/uid_map. A container's has not all there are, and those alone can be given.
// Errors: kInvalidArgument  it is no such map
absl::StatusOr<std::string> IdentityMap(std::string_view own);

// Writes both maps of the process `pid`, once. Needs CAP_SETUID, CAP_SETGID and, as root is among
// the ids, CAP_SETFCAP; the namespace must have been made by a process of our user.
// Errors: errno of open, read or write
absl::Status WriteIdMaps(pid_t pid);

}  // namespace postern::master
