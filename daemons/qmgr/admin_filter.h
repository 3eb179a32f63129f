// daemons/qmgr/admin_filter.h — which messages an operator's List asks for. Pure.
#pragma once

#include <string_view>

#include "common/ipc/protocol/admin.h"
#include "daemons/qmgr/message.h"

namespace postern::qmgr {

// `pattern`: an address, "@domain" for all of a domain, "<>" for the empty one. Nothing fits
// everything. ASCII case is ignored.
bool AddressFits(std::string_view pattern, std::string_view address);

bool SenderFits(const protocol::admin::List& list, const MessageRecord& record);

// The first `limit` recipients that are not done with and fit, as indices; all are looked at.
std::vector<uint32_t> FittingRecipients(const protocol::admin::List& list,
                                        const MessageRecord& record, const DoneSet& done,
                                        size_t limit);

}  // namespace postern::qmgr
