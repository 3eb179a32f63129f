// tests/testing/status_matchers.h — EXPECT_THAT(status, IsOk()), StatusIs(code), IsOkAndHolds(x):
// for absl::Status and absl::StatusOr alike; a mismatch prints the whole status.
#pragma once

#include <gmock/gmock.h>

#include "common/base/status.h"

namespace postern::test {

namespace internal {
inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <class T>
const absl::Status& StatusOf(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}
}  // namespace internal

MATCHER(IsOk, "is OK") {
  const absl::Status& status = internal::StatusOf(arg);
  *result_listener << ToStd(status.ToString());
  return status.ok();
}

MATCHER_P(StatusIs, code, "has the code " + ::testing::PrintToString(code)) {
  const absl::Status& status = internal::StatusOf(arg);
  *result_listener << ToStd(status.ToString());
  return status.code() == code;
}

// The message as well: StatusIs(absl::StatusCode::kNotFound, HasSubstr("open")).
MATCHER_P2(StatusIs, code, message, "has the code " + ::testing::PrintToString(code)) {
  const absl::Status& status = internal::StatusOf(arg);
  *result_listener << ToStd(status.ToString());
  return status.code() == code &&
         ::testing::Matches(message)(std::string(postern::Message(status)));
}

MATCHER_P(IsOkAndHolds, value, "is OK and holds " + ::testing::PrintToString(value)) {
  if (!arg.ok()) {
    *result_listener << ToStd(arg.status().ToString());
    return false;
  }
  return ::testing::ExplainMatchResult(value, *arg, result_listener);
}

}  // namespace postern::test
