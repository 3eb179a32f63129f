// common/ipc/protocol/qmgr_smtpc.h — qmgr (A) gives jobs to smtpc (B).
#pragma once

#include "common/ipc/protocol/delivery.h"

namespace postern::protocol {

inline constexpr ipc::Edge kQmgrSmtpc{.name = "qmgr-smtpc",
                                      .rules = delivery::kRules,
                                      .max_payload_octets = delivery::kMaxPayload,
                                      .max_open = delivery::kMaxJobs,
                                      .descriptor_kind = S_IFREG};

}  // namespace postern::protocol
