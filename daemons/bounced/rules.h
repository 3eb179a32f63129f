// daemons/bounced/rules.h — who gets a notice of what (RFC 3461 §4.1, §5.2; RFC 5321 §6.1). Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace postern::bounced {

// The NOTIFY parameter as a set; none of them: it was not given.
inline constexpr uint8_t kNotifyNever = 1;
inline constexpr uint8_t kNotifySuccess = 2;
inline constexpr uint8_t kNotifyFailure = 4;
inline constexpr uint8_t kNotifyDelay = 8;

enum class Ret : uint8_t { kNotGiven, kFull, kHeaders };

// RFC 3464 §2.3.3.
enum class Action : uint8_t { kFailed, kDelayed, kDelivered, kRelayed, kExpanded };

// What became of a recipient that might be worth a notice.
enum class Fate : uint8_t {
  kFailed,
  kDelayed,
  kDelivered,
  kRelayedWithDsn,     // the next hop has DSN: it answers for the notice from here on
  kRelayedWithoutDsn,  // the trail of notices ends here (RFC 3461 §5.2.2)
  kExpanded,           // into several addresses by an alias (§5.2.7.3)
};

enum class Decision : uint8_t { kNone, kFailed, kDelayed, kDelivered, kRelayed, kExpanded };

// The action a notice has to tell `sender` of, kNone for no notice. The null sender never gets one
// (S09), so a notice never begets another. NEVER silences all, also beside other values. Without
// NOTIFY failures and delays are told, success is not.
Decision DecideNotice(Fate fate, uint8_t notify, std::string_view sender);

// Does the whole message come back? Only if asked for, and only in a notice of a failure: RET
// speaks of these alone (RFC 3461 §4.3).
bool ReturnsWholeMessage(Ret ret, bool any_failed);

}  // namespace postern::bounced
