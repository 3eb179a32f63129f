// common/ipc/protocol/qmgr_locald.h — qmgr (A) gives jobs to locald (B).
#pragma once

#include "common/ipc/protocol/delivery.h"

namespace postern::protocol {

inline constexpr ipc::Edge kQmgrLocald{.name = "qmgr-locald",
                                       .rules = delivery::kRules,
                                       .max_payload_octets = delivery::kMaxPayload,
                                       .max_open = delivery::kMaxJobs,
                                       .descriptor_kind = S_IFREG};

}  // namespace postern::protocol
