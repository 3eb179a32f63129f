#include "daemons/qmgr/notice_wish.h"

#include <gtest/gtest.h>

#include "tests/daemons/qmgr/rig.h"

namespace postern::qmgr {
namespace {

using protocol::kNotifyDelay;
using protocol::kNotifyFailure;
using protocol::kNotifyNever;
using protocol::kNotifySuccess;
using protocol::notice::Kind;

NoticeWish WishOf(Kind kind, uint8_t notify, Outcome outcome, Transport transport) {
  MessageRecord record = RecordTo({"a@example.net"});
  record.recipients[0].notify = notify;
  return WishFor(kind, record, {Rig::ResultFor(0, outcome)}, transport, 7);
}

// RFC 3461 §4.1: NOTIFY; §5.2: what each kind of hop owes.
TEST(WishFor, FollowsWhatTheRecipientAskedFor) {
  const struct {
    const char* what;
    Kind kind;
    uint8_t notify;
    Outcome outcome;
    Transport transport;
    bool told;
  } rows[] = {
      {"failure, nothing said", Kind::kFailure, 0, Outcome::kFailed, Transport::kRemote, true},
      {"failure asked", Kind::kFailure, kNotifyFailure, Outcome::kFailed, Transport::kRemote, true},
      {"never", Kind::kFailure, kNotifyNever, Outcome::kFailed, Transport::kRemote, false},
      {"never, with more", Kind::kFailure, kNotifyNever | kNotifyFailure, Outcome::kFailed,
       Transport::kRemote, false},
      {"only success asked", Kind::kFailure, kNotifySuccess, Outcome::kFailed, Transport::kRemote,
       false},
      {"delay, nothing said", Kind::kDelay, 0, Outcome::kDeferred, Transport::kRemote, true},
      {"delay asked", Kind::kDelay, kNotifyDelay, Outcome::kDeferred, Transport::kRemote, true},
      {"delay not asked", Kind::kDelay, kNotifyFailure, Outcome::kDeferred, Transport::kRemote,
       false},
      {"success, nothing said", Kind::kSuccess, 0, Outcome::kDelivered, Transport::kLocal, false},
      {"success asked", Kind::kSuccess, kNotifySuccess, Outcome::kDelivered, Transport::kLocal,
       true},
      {"the next hop tells itself", Kind::kSuccess, kNotifySuccess, Outcome::kDelivered,
       Transport::kRemote, false},
      {"relayed to one without DSN", Kind::kSuccess, kNotifySuccess, Outcome::kRelayed,
       Transport::kRemote, true},
  };
  for (const auto& row : rows) {
    const NoticeWish wish = WishOf(row.kind, row.notify, row.outcome, row.transport);
    EXPECT_EQ(wish.recipients.size(), row.told ? 1u : 0u) << row.what;
    EXPECT_EQ(wish.kind, row.kind) << row.what;
  }
}

TEST(WishFor, SaysWhatTheResultSaid) {
  const NoticeWish wish = WishOf(Kind::kFailure, 0, Outcome::kFailed, Transport::kRemote);
  ASSERT_EQ(wish.recipients.size(), 1u);
  EXPECT_EQ(wish.recipients[0].address, "a@example.net");
  EXPECT_EQ(wish.recipients[0].status, "5.1.1");
  EXPECT_EQ(wish.recipients[0].diagnostic, "550 no such user");
  EXPECT_EQ(wish.recipients[0].remote, "mx.example.net");
  EXPECT_EQ(wish.recipients[0].last_attempt_us, 7);
  EXPECT_FALSE(wish.recipients[0].relayed);
}

TEST(NoticeAddress, IsNeverThatOfWhoCouldNotBeReached) {
  const auto address = [](const char* sender, const char* failed, const char* reserve) {
    const MessageRecord record = RecordTo({failed}, sender);
    return NoticeAddress(record,
                         WishFor(Kind::kFailure, record, {Rig::ResultFor(0, Outcome::kFailed)},
                                 Transport::kRemote, 0),
                         reserve);
  };
  EXPECT_EQ(address("s@example.org", "a@example.net", ""), "s@example.org");
  EXPECT_EQ(address("s@example.org", "a@example.net", "pm@example.org"), "s@example.org");
  EXPECT_EQ(address("", "a@example.net", ""), "");
  EXPECT_EQ(address("", "a@example.net", "pm@example.org"), "pm@example.org");
  EXPECT_EQ(address("", "PM@example.org", "pm@example.org"), "");
}

}  // namespace
}  // namespace postern::qmgr
