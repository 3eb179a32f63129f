// daemons/smtpc/reach.h — where the configuration lets mail go, as the confinement is told.
#pragma once

#include <cstdint>
#include <vector>

#include "common/config/settings.h"

namespace postern::smtpc {

struct Reach {
  std::vector<uint16_t> ports;  // TCP, sorted, each once
  bool unix_sockets = false;    // an LMTP socket is among the next hops

  // Whether a process confined to this reach can go wherever `other` goes.
  bool Covers(const Reach& other) const;
};

// The port of servers found by MX, and those of all next hops.
Reach ReachOf(const config::Outbound& settings);

}  // namespace postern::smtpc
