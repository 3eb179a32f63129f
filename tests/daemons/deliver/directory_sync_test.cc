#include "daemons/deliver/directory_sync.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

#include "common/base/unique_fd.h"
#include "common/io/scope.h"
#include "tests/testing/run_in_loop.h"

namespace postern::deliver {
namespace {

class DirectorySyncTest : public test::OnBothBackends {};
ON_BOTH_BACKENDS(DirectorySyncTest);

io::Task<absl::Status> SyncOnce(DirectorySync& sync, absl::Status& outcome) {
  outcome = co_await sync.Sync();
  co_return absl::OkStatus();
}

io::Task<absl::Status> SyncTogether(DirectorySync& sync, std::vector<absl::Status>& outcomes) {
  io::TaskScope scope;
  for (absl::Status& outcome : outcomes) scope.Spawn(SyncOnce(sync, outcome));
  co_await scope.Join();
  co_return absl::OkStatus();
}

TEST_P(DirectorySyncTest, AllWhoComeTogetherShareOneSync) {
  const UniqueFd directory(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DirectorySync sync(directory.get());
  std::vector<absl::Status> outcomes(50, Unavailable("not answered"));
  Run(SyncTogether(sync, outcomes));
  for (const absl::Status& outcome : outcomes) EXPECT_TRUE(outcome.ok()) << outcome;
  EXPECT_EQ(sync.syncs(), 1u);
  Run(SyncTogether(sync, outcomes));
  EXPECT_EQ(sync.syncs(), 2u) << "one that is over serves nobody";
}

// Whoever comes while a sync runs may have renamed after it began.
io::Task<absl::Status> OneWhileAnotherRuns(DirectorySync& sync) {
  absl::Status first = Unavailable("not answered");
  absl::Status second = first;
  io::TaskScope scope;
  scope.Spawn(SyncOnce(sync, first));
  while (sync.syncs() == 0) co_await io::YieldTurn();
  scope.Spawn(SyncOnce(sync, second));
  co_await scope.Join();
  EXPECT_TRUE(first.ok()) << first;
  EXPECT_TRUE(second.ok()) << second;
  EXPECT_EQ(sync.syncs(), 2u);
  co_return absl::OkStatus();
}

TEST_P(DirectorySyncTest, ASyncThatHasBegunServesNobodyWhoComesLater) {
  const UniqueFd directory(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DirectorySync sync(directory.get());
  Run(OneWhileAnotherRuns(sync));
}

// A pipe cannot be synced. The descriptor becomes a directory's once the first sync has failed, as
// the kernel forgets an error it has reported.
io::Task<absl::Status> FailThenSucceed(DirectorySync& sync, int fd, int directory) {
  std::vector<absl::Status> early(3);
  std::vector<absl::Status> late(3);
  io::TaskScope scope;
  for (absl::Status& outcome : early) scope.Spawn(SyncOnce(sync, outcome));
  while (early.front().ok()) co_await io::YieldTurn();
  EXPECT_EQ(::dup2(directory, fd), fd);
  for (absl::Status& outcome : late) scope.Spawn(SyncOnce(sync, outcome));
  co_await scope.Join();
  for (const absl::Status& outcome : early) EXPECT_FALSE(outcome.ok());
  for (const absl::Status& outcome : late) EXPECT_TRUE(outcome.ok()) << outcome;
  co_return absl::OkStatus();
}

TEST_P(DirectorySyncTest, AFailureReachesAllWhoSharedItAndNobodyElse) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const UniqueFd read_end(pipe[0]);
  const UniqueFd write_end(pipe[1]);
  const UniqueFd directory(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DirectorySync sync(read_end.get());
  Run(FailThenSucceed(sync, read_end.get(), directory.get()));
}

}  // namespace
}  // namespace postern::deliver
