// daemons/resolvd/translate.h — questions and answers between the channel's form and ours.
#pragma once

#include <optional>

#include "common/base/parse_error.h"
#include "common/dns/answer.h"
#include "common/ipc/protocol/smtpc_resolvd.h"

namespace postern::resolvd {

// A record type that may be asked for; nullopt: our sibling breaks the protocol.
std::optional<dns::Type> TypeOf(protocol::dns::RecordType type);

// Names in it are lower case. An answer whose names do not fit the message, and one of TXT or TLSA
// records that is not complete (half a policy is another policy), become a temporary failure.
protocol::dns::Answer ToMessage(const dns::Answer& answer, dns::Type type);

// The answer to a name that can not exist in DNS at all.
protocol::dns::Answer NotAName(std::string_view name, const ParseError& why);

}  // namespace postern::resolvd
