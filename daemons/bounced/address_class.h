// daemons/bounced/address_class.h — which way a notice goes. Pure.
#pragma once

#include <string_view>

#include "common/config/settings.h"
#include "common/ipc/protocol/common.h"

namespace postern::bounced {

// The class policyd would give `address` as a recipient: kLocal at a domain of ours (or without
// any), kRelay at one we relay to, kRemote otherwise. Domains are compared as A-labels, without
// case.
protocol::RecipientClass ClassOf(std::string_view address, const config::Settings& settings);

}  // namespace postern::bounced
