#include "daemons/bounced/rules.h"

namespace postern::bounced {

Decision DecideNotice(Fate fate, uint8_t notify, std::string_view sender) {
  if (sender.empty() || sender == "<>" || (notify & kNotifyNever) != 0) return Decision::kNone;
  const bool unspecified = notify == 0;
  const bool success = (notify & kNotifySuccess) != 0;
  switch (fate) {
    case Fate::kFailed:
      return unspecified || (notify & kNotifyFailure) != 0 ? Decision::kFailed : Decision::kNone;
    case Fate::kDelayed:
      return unspecified || (notify & kNotifyDelay) != 0 ? Decision::kDelayed : Decision::kNone;
    case Fate::kDelivered:
      return success ? Decision::kDelivered : Decision::kNone;
    case Fate::kRelayedWithDsn:
      return Decision::kNone;
    case Fate::kRelayedWithoutDsn:
      return success ? Decision::kRelayed : Decision::kNone;
    case Fate::kExpanded:
      return success ? Decision::kExpanded : Decision::kNone;
  }
  return Decision::kNone;
}

bool ReturnsWholeMessage(Ret ret, bool any_failed) { return ret == Ret::kFull && any_failed; }

}  // namespace postern::bounced
