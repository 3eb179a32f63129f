#include "common/config/next_hop.h"

#include "common/config/path.h"

namespace postern::config {

std::string NextHop::ToString() const {
  if (!socket_path.empty()) return "lmtp:" + socket_path;
  return (protocol == HopProtocol::kLmtp ? "lmtp://" : "smtp://") + host.ToString();
}

Parsed<NextHop> ParseNextHop(std::string_view text) {
  NextHop hop;
  std::string_view rest = text;
  if (rest.starts_with("lmtp:")) {
    hop.protocol = HopProtocol::kLmtp;
    rest.remove_prefix(5);
    if (!rest.starts_with("//")) {
      if (!rest.starts_with('/'))
        return Malformed("lmtp: is followed by //host:port or by a socket's path from /", 5);
      if (rest.size() > kMaxSocketPathOctets)
        return Malformed("the path of a socket has at most 107 octets", 5);
      hop.socket_path = rest;
      return hop;
    }
    rest.remove_prefix(2);
  } else if (rest.starts_with("smtp://")) {
    rest.remove_prefix(7);
  } else if (rest.find("://") != rest.npos || rest.starts_with("smtp:/")) {
    return Malformed("a next hop starts with smtp://, lmtp:// or lmtp:/");
  }
  const size_t prefix = text.size() - rest.size();
  if (rest.ends_with('/')) return Malformed("nothing follows the host and port", text.size() - 1);
  Parsed<HostPort> host = HostPort::Parse(rest);
  if (!host) return Malformed(host.error().reason, prefix + host.error().offset);
  hop.host = *std::move(host);
  return hop;
}

}  // namespace postern::config
