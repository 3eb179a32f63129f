#include "daemons/qmgr/disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/unique_fd.h"
#include "tests/daemons/qmgr/store_testing.h"
#include "tests/testing/run_in_loop.h"
#include "tests/testing/status_matchers.h"

namespace postern::qmgr {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Spools : public test::OnBothBackends {
 protected:
  void SetUp() override {
    test::OnBothBackends::SetUp();
    if (loop == nullptr) return;
    char name[] = "/tmp/postern-spool-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    top = name;
    path = top + "/spool";
  }
  void TearDown() override {
    if (!top.empty()) std::filesystem::remove_all(top);
  }
  absl::Status Refusal() const { return OpenSpool(path).status(); }
  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path + "/" + name, std::ios::binary) << bytes;
  }
  std::string top;
  std::string path;
};
ON_BOTH_BACKENDS(Spools);

TEST_P(Spools, ASpoolIsMadeForItsOwnerAlone) {
  const auto disk = OpenSpool(path);
  ASSERT_THAT(disk, IsOk());
  for (const char* name : {"", "/log", "/content"}) {
    struct stat about;
    ASSERT_EQ(::stat((path + name).c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0700u) << name;
  }
  struct stat about;
  ASSERT_EQ(::stat((path + "/lock").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
}

TEST_P(Spools, ASecondProcessIsRefusedUntilTheFirstHasGone) {
  auto disk = OpenSpool(path);
  ASSERT_THAT(disk, IsOk());
  EXPECT_THAT(Refusal(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                  HasSubstr(path + " is in use by another process")));
  *disk = nullptr;
  EXPECT_THAT(Refusal(), IsOk());
}

TEST_P(Spools, WhatEverybodyMayWriteToIsRefused) {
  ASSERT_THAT(Refusal(), IsOk());
  for (const char* name : {"", "/log", "/content"}) {
    ASSERT_EQ(::chmod((path + name).c_str(), 0702), 0);
    EXPECT_THAT(Refusal(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                    HasSubstr("can be written to by everybody")))
        << name;
    ASSERT_EQ(::chmod((path + name).c_str(), 0770), 0);
  }
  EXPECT_THAT(Refusal(), IsOk());
}

TEST_P(Spools, PartsOfAnotherOwnerAreRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  ASSERT_THAT(Refusal(), IsOk());
  for (const char* name : {"/log", "/content"}) {
    ASSERT_EQ(::chown((path + name).c_str(), 4711, 4711), 0);
    EXPECT_THAT(Refusal(),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("belongs to uid 4711")))
        << name;
    ASSERT_EQ(::chown((path + name).c_str(), 0, 0), 0);
  }
  // All of it somebody's: root has not become that user yet.
  for (const char* name : {"", "/log", "/content"})
    ASSERT_EQ(::chown((path + name).c_str(), 4711, 4711), 0);
  EXPECT_THAT(Refusal(), IsOk());
}

TEST_P(Spools, ALinkOrAFileInPlaceOfADirectoryIsRefused) {
  ASSERT_EQ(::mkdir((top + "/elsewhere").c_str(), 0700), 0);
  ASSERT_EQ(::symlink((top + "/elsewhere").c_str(), path.c_str()), 0);
  EXPECT_THAT(Refusal().message(), HasSubstr(path));
  EXPECT_FALSE(Refusal().ok());
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  Write("log", "a file");
  EXPECT_FALSE(Refusal().ok());
}

io::Task<absl::Status> UseFiles(Disk& disk, const std::string& path) {
  {
    CO_ASSIGN_OR_RETURN(const auto file, co_await disk.Create("log/a", 4096));
    EXPECT_THAT((co_await disk.Create("log/a", 0)).status(),
                StatusIs(absl::StatusCode::kAlreadyExists));
    EXPECT_EQ(std::filesystem::file_size(path + "/log/a"), 4096u);
    CO_RETURN_IF_ERROR(co_await file->Write("one", 1));
    CO_RETURN_IF_ERROR(co_await file->WriteAndSync("four", 4));
    CO_RETURN_IF_ERROR(co_await file->Sync());
    char read[8];
    EXPECT_THAT(co_await file->Read(read, 8, 0), test::IsOkAndHolds(8u));
    EXPECT_EQ(std::string_view(read, 8), std::string_view("\0onefour", 8));
    EXPECT_THAT(co_await file->Read(read, 8, 4092), test::IsOkAndHolds(4u));
    EXPECT_THAT(file->Octets(), test::IsOkAndHolds(4096u));
    CO_ASSIGN_OR_RETURN(const int fd, file->OpenForReading());
    const UniqueFd descriptor(fd);
    EXPECT_EQ(::fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY) << "those who deliver only read";
  }
  CO_RETURN_IF_ERROR(co_await disk.SyncDirectory("log"));
  CO_RETURN_IF_ERROR(co_await disk.SyncDirectory("content"));
  CO_RETURN_IF_ERROR((co_await disk.Create("content/b", 0)).status());
  EXPECT_THAT(disk.List("log"), test::IsOkAndHolds(ElementsAre("a")));
  EXPECT_THAT(disk.List("content"), test::IsOkAndHolds(ElementsAre("b")));
  CO_RETURN_IF_ERROR((co_await disk.Open("content/b")).status());
  CO_RETURN_IF_ERROR(co_await disk.Remove("content/b"));
  EXPECT_THAT(disk.List("content"), test::IsOkAndHolds(IsEmpty()));
  EXPECT_THAT((co_await disk.Open("content/b")).status(), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(co_await disk.Remove("content/b"), StatusIs(absl::StatusCode::kNotFound));
  const auto free = disk.FreeOctets();
  EXPECT_TRUE(free.ok() && *free > 0);
  co_return absl::OkStatus();
}

TEST_P(Spools, FilesAreMadeWrittenReadListedAndRemoved) {
  auto disk = OpenSpool(path);
  ASSERT_THAT(disk, IsOk());
  Run(UseFiles(**disk, path));
}

io::Task<absl::Status> AskForTooMuch(Disk& disk) {
  const auto created = co_await disk.Create("log/huge", uint64_t{1} << 50);
  EXPECT_FALSE(created.ok());
  EXPECT_THAT(disk.List("log"), test::IsOkAndHolds(IsEmpty())) << "nothing half-made is left";
  co_return absl::OkStatus();
}

TEST_P(Spools, AFileThereIsNoRoomForLeavesNothingBehind) {
  auto disk = OpenSpool(path);
  ASSERT_THAT(disk, IsOk());
  Run(AskForTooMuch(**disk));
}

TEST_P(Spools, WhatIsNoFileUnderASegmentsNameIsSaidAndLeftAlone) {
  auto disk = OpenSpool(path);
  ASSERT_THAT(disk, IsOk());
  const SegmentMaker segment = SegmentMaker(1).Message(1);
  Write(segment.name(), segment.Bytes(4096));
  ASSERT_EQ(::mkdir((path + "/log/000000000002.seg").c_str(), 0700), 0);
  ASSERT_EQ(::symlink("000000000001.seg", (path + "/log/000000000003.seg").c_str()), 0);
  ASSERT_EQ(::mkfifo((path + "/log/000000000004.seg").c_str(), 0600), 0);
  Found found;
  test::OnBothBackends::Run(RecoverInto(**disk, found));
  EXPECT_EQ(found.messages.size(), 1u);
  EXPECT_EQ(found.report.remarks.size(), 3u);
  for (const std::string& remark : found.report.remarks)
    EXPECT_THAT(remark, HasSubstr("not a regular file, left alone"));
}

TEST_P(Spools, ASegmentOfAnotherOwnerStopsTheStartWithItsName) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  auto disk = OpenSpool(path);
  ASSERT_THAT(disk, IsOk());
  const SegmentMaker segment = SegmentMaker(1).Message(1);
  Write(segment.name(), segment.Bytes(4096));
  ASSERT_EQ(::chmod((path + "/" + segment.name()).c_str(), 0), 0);
  Found found;
  EXPECT_THAT(loop->Run(RecoverInto(**disk, found)),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(segment.name())));
}

}  // namespace
}  // namespace postern::qmgr
