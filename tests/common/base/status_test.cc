#include "common/base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>

namespace postern {
namespace {

using absl::StatusCode;

TEST(Status, IsMadeOfParts) {
  const absl::Status status = InvalidArgument("port ", 70000, ": too large", '!');
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(status), "port 70000: too large!");
  EXPECT_EQ(StrCat(), "");
  EXPECT_EQ(StrCat("a", std::string("b"), std::string_view("c"), 'd', -1,
                   uint64_t{18446744073709551615u}),
            "abcd-118446744073709551615");
}

TEST(Status, EachMakerHasItsCode) {
  EXPECT_EQ(NotFound("x").code(), StatusCode::kNotFound);
  EXPECT_EQ(FailedPrecondition("x").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Unavailable("x").code(), StatusCode::kUnavailable);
  EXPECT_EQ(ResourceExhausted("x").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(DeadlineExceeded("x").code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(OutOfRange("x").code(), StatusCode::kOutOfRange);
  EXPECT_EQ(DataLoss("x").code(), StatusCode::kDataLoss);
  EXPECT_EQ(Internal("x").code(), StatusCode::kInternal);
  EXPECT_EQ(Cancelled().code(), StatusCode::kCancelled);
}

TEST(Status, AnErrnoSaysWhatToDo) {
  struct {
    int error;
    StatusCode code;
  } const rows[] = {
      {ECANCELED, StatusCode::kCancelled},
      {ETIMEDOUT, StatusCode::kDeadlineExceeded},
      {ETIME, StatusCode::kDeadlineExceeded},
      {ENOENT, StatusCode::kNotFound},
      {EEXIST, StatusCode::kAlreadyExists},
      {EACCES, StatusCode::kPermissionDenied},
      {EPERM, StatusCode::kPermissionDenied},
      {ENOSPC, StatusCode::kResourceExhausted},
      {EDQUOT, StatusCode::kResourceExhausted},
      {EMFILE, StatusCode::kResourceExhausted},
      {ENFILE, StatusCode::kResourceExhausted},
      {ENOMEM, StatusCode::kResourceExhausted},
      {ENOBUFS, StatusCode::kResourceExhausted},
      {ECONNRESET, StatusCode::kUnavailable},
      {ECONNREFUSED, StatusCode::kUnavailable},
      {EPIPE, StatusCode::kUnavailable},
      {EHOSTUNREACH, StatusCode::kUnavailable},
      {EINVAL, StatusCode::kInvalidArgument},
      {EIO, StatusCode::kUnknown},
  };
  for (const auto& row : rows) {
    const absl::Status status = ErrnoStatus(row.error, "open ", "x");
    EXPECT_EQ(status.code(), row.code) << row.error;
    EXPECT_TRUE(Message(status).starts_with("open x: ")) << status;
    EXPECT_GT(Message(status).size(), std::string_view("open x: ").size());
  }
}

TEST(Status, ContextGoesInFrontAndTheCodeStays) {
  const absl::Status status = Annotate(NotFound("no such file"), "read ", 7);
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(Message(status), "read 7: no such file");
  EXPECT_TRUE(Annotate(absl::OkStatus(), "read").ok());
}

absl::Status PassOn(const absl::Status& status, bool& went_on) {
  RETURN_IF_ERROR(status);
  went_on = true;
  return absl::OkStatus();
}

TEST(Status, ReturnIfErrorPassesErrorsOnAlone) {
  bool went_on = false;
  EXPECT_EQ(PassOn(NotFound("x"), went_on).code(), StatusCode::kNotFound);
  EXPECT_FALSE(went_on);
  EXPECT_TRUE(PassOn(absl::OkStatus(), went_on).ok());
  EXPECT_TRUE(went_on);
}

// The value can only be moved.
absl::StatusOr<int> Unwrap(absl::StatusOr<std::unique_ptr<int>> boxed) {
  ASSIGN_OR_RETURN(const std::unique_ptr<int> box, std::move(boxed));
  ASSIGN_OR_RETURN(const int value, absl::StatusOr<int>(*box + 1));
  return value;
}

TEST(Status, AssignOrReturnMovesTheValueOut) {
  EXPECT_EQ(*Unwrap(std::make_unique<int>(6)), 7);
  EXPECT_EQ(Unwrap(DataLoss("x")).status(), DataLoss("x"));
}

}  // namespace
}  // namespace postern
