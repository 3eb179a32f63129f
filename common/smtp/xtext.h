// common/smtp/xtext.h — the encodings of ESMTP parameter values.
#pragma once

#include <string>
#include <string_view>

#include "common/base/parse_error.h"
#include "common/smtp/address.h"

namespace postern::smtp {

// RFC 3461 §4: "+" and two upper-case hex digits stand for an octet; '+', '=' and what is not
// visible ASCII must be so encoded.
Parsed<std::string> DecodeXtext(std::string_view text);
std::string EncodeXtext(std::string_view text);

// RFC 6533 §3: an address of type utf-8 in ORCPT, "\x{HEX}" for a code point. Raw UTF-8
// (utf-8-addr-unitext) only with Utf8::kAllowed.
Parsed<std::string> DecodeUtf8Address(std::string_view text, Utf8 utf8);
// utf-8-addr-unitext with Utf8::kAllowed, utf-8-addr-xtext (ASCII alone) otherwise. `address` must
// be valid UTF-8.
std::string EncodeUtf8Address(std::string_view address, Utf8 utf8);

}  // namespace postern::smtp
