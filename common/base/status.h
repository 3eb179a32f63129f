// common/base/status.h — absl::Status in the terms of std::string_view, and the macros that pass it
// on.
//
// Codes tell the caller what to do: kCancelled unwind quietly (shutdown), kDeadlineExceeded time
// ran out, kUnavailable the other side is gone, kResourceExhausted shed load. Messages read "what
// was tried: why not", with foreign bytes escaped and no secrets.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace postern {

inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }
inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

inline std::string_view Message(const absl::Status& status) { return ToStd(status.message()); }

namespace internal {
inline void AppendPart(std::string& to, std::string_view part) { to += part; }
inline void AppendPart(std::string& to, char part) { to += part; }
template <class T>
  requires std::is_integral_v<T>
void AppendPart(std::string& to, T part) {
  to += std::to_string(part);
}
}  // namespace internal

// Joins strings, characters and integers.
template <class... Parts>
std::string StrCat(const Parts&... parts) {
  std::string joined;
  (internal::AppendPart(joined, parts), ...);
  return joined;
}

template <class... Parts>
absl::Status MakeStatus(absl::StatusCode code, const Parts&... parts) {
  return absl::Status(code, ToAbsl(StrCat(parts...)));
}
template <class... Parts>
absl::Status InvalidArgument(const Parts&... parts) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, parts...);
}
template <class... Parts>
absl::Status NotFound(const Parts&... parts) {
  return MakeStatus(absl::StatusCode::kNotFound, parts...);
}
template <class... Parts>
absl::Status FailedPrecondition(const Parts&... parts) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, parts...);
}
template <class... Parts>
absl::Status Unavailable(const Parts&... parts) {
  return MakeStatus(absl::StatusCode::kUnavailable, parts...);
}
template <class... Parts>
absl::Status ResourceExhausted(const Parts&... parts) {
  return MakeStatus(absl::StatusCode::kResourceExhausted, parts...);
}
template <class... Parts>
absl::Status DeadlineExceeded(const Parts&... parts) {
  return MakeStatus(absl::StatusCode::kDeadlineExceeded, parts...);
}
template <class... Parts>
absl::Status OutOfRange(const Parts&... parts) {
  return MakeStatus(absl::StatusCode::kOutOfRange, parts...);
}
template <class... Parts>
absl::Status DataLoss(const Parts&... parts) {
  return MakeStatus(absl::StatusCode::kDataLoss, parts...);
}
template <class... Parts>
absl::Status Internal(const Parts&... parts) {
  return MakeStatus(absl::StatusCode::kInternal, parts...);
}
inline absl::Status Cancelled() { return absl::CancelledError("stop requested"); }

// The status of a failed system call: `error` is an errno (positive). The message is
// "<parts>: <strerror>". ECANCELED gives kCancelled; a vanished or absent peer (ECONNRESET, EPIPE,
// ECONNREFUSED, ...) kUnavailable; ETIMEDOUT kDeadlineExceeded; ENOENT kNotFound; EEXIST
// kAlreadyExists; EACCES, EPERM kPermissionDenied; ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, ENOBUFS
// kResourceExhausted; EINVAL and the like kInvalidArgument; anything else kUnknown.
absl::Status ErrnoStatusFrom(int error, std::string what);
template <class... Parts>
absl::Status ErrnoStatus(int error, const Parts&... parts) {
  return ErrnoStatusFrom(error, StrCat(parts...));
}

// The same code, with context in front: "<parts>: <message>". An OK status stays OK.
template <class... Parts>
absl::Status Annotate(const absl::Status& status, const Parts&... parts) {
  if (status.ok()) return status;
  return MakeStatus(status.code(), parts..., ": ", Message(status));
}

// Says in the code that, and why, a failure changes nothing.
inline void IgnoreStatus(const absl::Status&, std::string_view) {}

}  // namespace postern

#define POSTERN_CONCAT_INNER(a, b) a##b
#define POSTERN_CONCAT(a, b) POSTERN_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expression)                                      \
  do {                                                                   \
    if (absl::Status status_ = (expression); !status_.ok()) [[unlikely]] \
      return status_;                                                    \
  } while (false)
#define CO_RETURN_IF_ERROR(expression)                                   \
  do {                                                                   \
    if (absl::Status status_ = (expression); !status_.ok()) [[unlikely]] \
      co_return status_;                                                 \
  } while (false)

#define ASSIGN_OR_RETURN(declaration, expression) \
  POSTERN_ASSIGN_OR(return, POSTERN_CONCAT(statusor_, __LINE__), declaration, expression)
#define CO_ASSIGN_OR_RETURN(declaration, expression) \
  POSTERN_ASSIGN_OR(co_return, POSTERN_CONCAT(statusor_, __LINE__), declaration, expression)
#define POSTERN_ASSIGN_OR(leave, temporary, declaration, expression) \
  auto temporary = (expression);                                     \
  if (!temporary.ok()) [[unlikely]]                                  \
    leave std::move(temporary).status();                             \
  declaration = *std::move(temporary)
