#include "daemons/qmgr/notice_wish.h"

#include <algorithm>

#include "common/smtp/ascii.h"

namespace postern::qmgr {
namespace {

namespace delivery = protocol::delivery;
namespace notice = protocol::notice;

// Without NOTIFY: failures and delays (RFC 3461 §4.1, §5.2).
bool Asked(notice::Kind kind, uint8_t notify) {
  switch (kind) {
    case notice::Kind::kSuccess:
      return (notify & protocol::kNotifySuccess) != 0;
    case notice::Kind::kFailure:
      return notify == 0 || (notify & protocol::kNotifyFailure) != 0;
    case notice::Kind::kDelay:
      return notify == 0 || (notify & protocol::kNotifyDelay) != 0;
  }
  return false;
}

}  // namespace

NoticeWish WishFor(notice::Kind kind, const MessageRecord& record,
                   const std::vector<delivery::Result>& results, Transport transport,
                   int64_t now_wall_us) {
  NoticeWish wish{.kind = kind, .recipients = {}};
  for (const delivery::Result& result : results) {
    const RecipientRecord& recipient = record.recipients[result.index];
    if ((recipient.notify & protocol::kNotifyNever) != 0 || !Asked(kind, recipient.notify))
      continue;
    // A next hop that knows DSN sends the notice itself.
    if (kind == notice::Kind::kSuccess && transport == Transport::kRemote &&
        result.outcome == delivery::Outcome::kDelivered)
      continue;
    wish.recipients.push_back({.address = recipient.address,
                               .orcpt = recipient.orcpt,
                               .notify = recipient.notify,
                               .relayed = result.outcome == delivery::Outcome::kRelayed,
                               .status = result.status,
                               .diagnostic = result.diagnostic,
                               .remote_words = result.remote_words,
                               .remote = result.remote,
                               .last_attempt_us = now_wall_us});
  }
  return wish;
}

std::string NoticeAddress(const MessageRecord& record, const NoticeWish& wish,
                          const std::string& double_bounce_recipient) {
  if (!record.sender.empty()) return record.sender;
  const bool failed_itself =
      std::any_of(wish.recipients.begin(), wish.recipients.end(),
                  [&](const notice::NoticeRecipient& recipient) {
                    return smtp::EqualsIgnoringCase(recipient.address, double_bounce_recipient);
                  });
  return failed_itself ? std::string() : double_bounce_recipient;
}

bool WantsSuccess(const MessageRecord& record) {
  return std::any_of(record.recipients.begin(), record.recipients.end(),
                     [](const RecipientRecord& recipient) {
                       return (recipient.notify & protocol::kNotifySuccess) != 0;
                     });
}

}  // namespace postern::qmgr
