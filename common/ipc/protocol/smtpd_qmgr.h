// common/ipc/protocol/smtpd_qmgr.h — smtpd (A) submits to qmgr (B).
#pragma once

#include "common/ipc/protocol/submission.h"

namespace postern::protocol {

inline constexpr ipc::Edge kSmtpdQmgr{.name = "smtpd-qmgr",
                                      .rules = submission::kRules,
                                      .max_payload_octets = submission::kMaxPayload,
                                      .max_open = submission::kMaxOpenStreams};

}  // namespace postern::protocol
