// daemons/qmgr/notice_wish.h — who is told what became of a message: NOTIFY (RFC 3461 §4.1), and
// that notices about notices never go on for ever. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/ipc/protocol/delivery.h"
#include "common/ipc/protocol/qmgr_bounced.h"
#include "daemons/qmgr/records.h"

namespace postern::qmgr {

struct NoticeWish {
  protocol::notice::Kind kind = protocol::notice::Kind::kFailure;
  std::vector<protocol::notice::NoticeRecipient> recipients;  // empty: nobody is to be told
};

enum class Transport : uint8_t { kLocal, kRemote };

// The notice that the results call for. `results` are all of one kind: failed, deferred, or
// succeeded by that transport; their indices lie within the envelope.
NoticeWish WishFor(protocol::notice::Kind kind, const MessageRecord& record,
                   const std::vector<protocol::delivery::Result>& results, Transport transport,
                   int64_t now_wall_us);

// Who gets notices about a message: its sender; for null-sender mail `double_bounce_recipient`,
// unless that is whom it could not reach. Empty: nobody (RFC 5321 §6.1).
std::string NoticeAddress(const MessageRecord& record, const NoticeWish& wish,
                          const std::string& double_bounce_recipient);

// Whether some recipient asked to be told of success.
bool WantsSuccess(const MessageRecord& record);

}  // namespace postern::qmgr
