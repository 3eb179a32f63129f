// common/smtp/domain.h — internationalised domain names (RFC 5890, RFC 5891; UTS #46
// non-transitional) by libidn2. The one part of this folder that needs a library: link
// smtp_idn_dep.
#pragma once

#include <string>
#include <string_view>

#include "common/base/parse_error.h"

namespace postern::smtp {

// The lower-case A-label form, as DNS and ASCII-only peers take it: "Bücher.example" gives
// "xn--bcher-kva.example". Input is brought to NFC first. A name of ASCII alone is checked and
// lowered without the library. Errors: no valid name, or longer than 63 a label or 255 in all.
Parsed<std::string> ToAscii(std::string_view domain);

// The U-label form, for people and for comparing; a name without A-labels comes back lower-case.
// Errors: as above, and an A-label that no U-label encodes to.
Parsed<std::string> ToUnicode(std::string_view domain);

}  // namespace postern::smtp
