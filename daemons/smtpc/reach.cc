#include "daemons/smtpc/reach.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace postern::smtpc {

bool Reach::Covers(const Reach& other) const {
  return (unix_sockets || !other.unix_sockets) &&
         std::ranges::includes(socket_paths, other.socket_paths) &&
         std::ranges::includes(ports, other.ports);
}

Reach ReachOf(const config::Outbound& settings) {
  Reach reach;
  std::set<std::string> paths;
  std::set<uint16_t> ports = {static_cast<uint16_t>(settings.port)};
  const auto add = [&](const config::NextHop& hop) {
    if (!hop.socket_path.empty()) {
      reach.unix_sockets = true;
      paths.insert(hop.socket_path);
    } else if (hop.host.port != 0) {
      ports.insert(hop.host.port);
    }
  };
  if (settings.smarthost.has_value()) add(*settings.smarthost);
  for (const auto& [domain, hop] : settings.routes) add(hop);
  reach.ports.assign(ports.begin(), ports.end());
  reach.socket_paths.assign(paths.begin(), paths.end());
  return reach;
}

std::vector<std::string> DirectoriesOf(const std::vector<std::string>& socket_paths) {
  std::set<std::string> directories;
  for (const std::string& socket : socket_paths) {
    std::filesystem::path above = std::filesystem::path(socket).lexically_normal().parent_path();
    std::error_code error;
    while (above.has_relative_path() && !std::filesystem::is_directory(above, error))
      above = above.parent_path();
    if (above.has_relative_path()) directories.insert(above);
  }
  return {directories.begin(), directories.end()};
}

}  // namespace postern::smtpc
