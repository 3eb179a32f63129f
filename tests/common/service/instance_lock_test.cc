#include "common/service/instance_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/daemons/master/scratch.h"
#include "tests/testing/status_matchers.h"

namespace postern::service {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::HasSubstr;

TEST(InstanceLock, HoldsTheProcessIdAndIsGoneAfterwards) {
  const test::ScratchDirectory scratch;
  auto lock = InstanceLock::Take(scratch.path());
  ASSERT_THAT(lock, IsOk());
  EXPECT_FALSE(lock->after_crash());
  EXPECT_EQ(RunningMaster(scratch.path()), ::getpid());
  lock->Release();
  EXPECT_EQ(RunningMaster(scratch.path()), std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(scratch / "master.pid"));
  EXPECT_THAT(InstanceLock::Take(scratch.path()), IsOk());
}

TEST(InstanceLock, ASecondOneIsRefusedAndToldWhoHasIt) {
  const test::ScratchDirectory scratch;
  const auto first = InstanceLock::Take(scratch.path());
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(InstanceLock::Take(scratch.path()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr(StrCat("already: process ", ::getpid()))));
  EXPECT_EQ(RunningMaster(scratch.path()), ::getpid()) << "the first still has it";
}

TEST(InstanceLock, WhatAKilledOneLeftIsTakenOver) {
  const test::ScratchDirectory scratch;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = InstanceLock::Take(scratch.path());
    ::_exit(lock.ok() ? 0 : 1);  // without Release
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(RunningMaster(scratch.path()), std::nullopt);
  const auto lock = InstanceLock::Take(scratch.path());
  ASSERT_THAT(lock, IsOk());
  EXPECT_TRUE(lock->after_crash());
  EXPECT_EQ(RunningMaster(scratch.path()), ::getpid());
}

TEST(InstanceLock, GoesThroughNoLink) {
  const test::ScratchDirectory scratch;
  std::ofstream(scratch / "precious") << "precious";
  std::filesystem::create_symlink(scratch / "precious", scratch / "master.pid");
  EXPECT_FALSE(InstanceLock::Take(scratch.path()).ok());
  EXPECT_EQ(std::filesystem::file_size(scratch / "precious"), 8u);
}

TEST(InstanceLock, SaysWhereItCannotBeMade) {
  EXPECT_THAT(InstanceLock::Take("/nonexistent"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/master.pid")));
  EXPECT_EQ(RunningMaster("/nonexistent"), std::nullopt);
}

}  // namespace
}  // namespace postern::service
