// tools/sendmail/addresses.h — addresses as people write them (RFC 5322 §3.4), for `sendmail -t`
// and its arguments. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/parse_error.h"
#include "common/smtp/address.h"

namespace postern::sendmail {

// The addresses of a To, Cc or Bcc field, folded or not: bare, in <>, with names and comments, in
// groups. What stands there is taken as it is, quotes included; whether it is an address is
// PathOf()'s business.
std::vector<std::string> AddressesOf(std::string_view field);

// A bare name is an account: "@`domain`" is added (not to "postmaster"). Source routes are dropped.
// Errors: why it is no address, the text escaped in front.
Parsed<smtp::ForwardPath> PathOf(const std::string& address, const std::string& domain);

}  // namespace postern::sendmail
