// daemons/smtpc/reach.h — where the configuration lets mail go, as the confinement is told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/settings.h"

namespace postern::smtpc {

struct Reach {
  std::vector<uint16_t> ports;            // TCP, sorted, each once
  bool unix_sockets = false;              // an LMTP socket is among the next hops
  std::vector<std::string> socket_paths;  // those, sorted, each once

  // Whether a process confined to this reach can go wherever `other` goes.
  bool Covers(const Reach& other) const;
};

// The port of servers found by MX, and those of all next hops.
Reach ReachOf(const config::Outbound& settings);

// The directories to see so that a server's socket is found there, even one that is made anew. One
// that does not exist yet is seen once it does, as the next above it is taken; never all of "/".
std::vector<std::string> DirectoriesOf(const std::vector<std::string>& socket_paths);

}  // namespace postern::smtpc
