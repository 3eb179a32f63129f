#include "common/base/status.h"

#include <cerrno>
#include <cstring>

namespace postern {
namespace {

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case 0:
      return absl::StatusCode::kOk;
    case ECANCELED:
      return absl::StatusCode::kCancelled;
    case ETIME:
    case ETIMEDOUT:
      return absl::StatusCode::kDeadlineExceeded;
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EFBIG:
      return absl::StatusCode::kResourceExhausted;
    case ECONNRESET:
    case ECONNREFUSED:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case EADDRNOTAVAIL:
      return absl::StatusCode::kUnavailable;
    case EINVAL:
    case EBADF:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EAFNOSUPPORT:
      return absl::StatusCode::kInvalidArgument;
    default:
      return absl::StatusCode::kUnknown;
  }
}

}  // namespace

absl::Status ErrnoStatusFrom(int error, std::string what) {
  char buffer[128];
  // The GNU form: it may return a constant instead of filling the buffer.
  const char* reason = ::strerror_r(error, buffer, sizeof buffer);
  return MakeStatus(CodeOf(error), what, ": ", std::string_view(reason));
}

}  // namespace postern
