// common/config/domain.h — domains as the configuration writes them, in one comparable form.
#pragma once

#include <string>
#include <string_view>

#include "common/base/parse_error.h"

namespace postern::config {

// Lower-case A-labels (RFC 5890 §2.3.2.1) of a domain given as such or in Unicode, in UTF-8
// (IDNA2008, non-transitional). Labels of letters, digits, hyphens and underscores, 1 to 63 octets
// each, 253 together; an IP address is refused.
Parsed<std::string> NormaliseDomain(std::string_view text);

// The same with at least two labels and no underscore: what a host may call itself in EHLO.
Parsed<std::string> NormaliseHostname(std::string_view text);

}  // namespace postern::config
