// common/config/next_hop.h — where mail goes instead of a domain's MX.
#pragma once

#include <string_view>

#include "common/base/parse_error.h"
#include "common/config/settings.h"

namespace postern::config {

// "smtp://host:port", "lmtp://host:port", "lmtp:/path/of/socket" or "host:port"; a port may be left
// out (NextHop::host.port is 0 then: outbound.port for SMTP, 24 for LMTP).
Parsed<NextHop> ParseNextHop(std::string_view text);

}  // namespace postern::config
