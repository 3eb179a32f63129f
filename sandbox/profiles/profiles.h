// sandbox/profiles/profiles.h — every daemon's profile: this folder is the attack surface, read in
// one sitting. master has none here: its children inherit a filter, and they need more than it does
// (README.md).
#pragma once

#include <string>
#include <vector>

#include "sandbox/profile.h"

namespace postern::sandbox {

Profile SmtpdProfile(Backend backend);
Profile PolicydProfile(Backend backend);
// `ports`: of the name servers.
Profile ResolvdProfile(Backend backend, const std::vector<uint16_t>& ports);
// `spool`: the spool directory, opened before root's powers went.
Profile QmgrProfile(Backend backend, UniqueFd spool);
// `ports`: of the servers that mail goes to. `unix_sockets`: a route or the smart host is an LMTP
// socket; `socket_directories` are those that hold such sockets.
Profile SmtpcProfile(Backend backend, const std::vector<uint16_t>& ports, bool unix_sockets,
                     const std::vector<std::string>& socket_directories = {});
Profile LocaldProfile(Backend backend);
// `mailbox`: the Maildir or the mbox; invalid: there is none, and no file is touched.
Profile DeliverProfile(Backend backend, UniqueFd mailbox);
Profile BouncedProfile(Backend backend);

}  // namespace postern::sandbox
