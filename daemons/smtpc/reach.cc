#include "daemons/smtpc/reach.h"

#include <algorithm>
#include <set>

namespace postern::smtpc {

bool Reach::Covers(const Reach& other) const {
  return (unix_sockets || !other.unix_sockets) && std::ranges::includes(ports, other.ports);
}

Reach ReachOf(const config::Outbound& settings) {
  Reach reach;
  std::set<uint16_t> ports = {static_cast<uint16_t>(settings.port)};
  const auto add = [&](const config::NextHop& hop) {
    if (!hop.socket_path.empty()) {
      reach.unix_sockets = true;
    } else if (hop.host.port != 0) {
      ports.insert(hop.host.port);
    }
  };
  if (settings.smarthost.has_value()) add(*settings.smarthost);
  for (const auto& [domain, hop] : settings.routes) add(hop);
  reach.ports.assign(ports.begin(), ports.end());
  return reach;
}

}  // namespace postern::smtpc
