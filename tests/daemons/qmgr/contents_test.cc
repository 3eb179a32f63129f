#include "daemons/qmgr/contents.h"

#include "common/base/queue_id.h"
#include "tests/daemons/qmgr/store_testing.h"

namespace postern::qmgr {
namespace {

io::Task<absl::Status> CheckInto(Disk& disk, std::map<uint64_t, uint64_t> expected, Orphans orphans,
                                 ContentsReport& report) {
  auto checked = co_await CheckContents(disk, expected, orphans);
  CO_RETURN_IF_ERROR(checked.status());
  report = *std::move(checked);
  co_return absl::OkStatus();
}

TEST(Contents, OrphansGoForeignFilesStayAndWhatIsMissingOrCutIsSaid) {
  FaultyDisk disk;
  disk.Put(ContentName(1), "whole");
  disk.Put(ContentName(2), "cut");
  disk.Put(ContentName(3), "longer than it was");
  disk.Put(ContentName(5), "nobody's");
  disk.Put("content/README", "foreign");
  std::string lower = ContentName(0x7fffffffffffff);
  for (char& c : lower) c = static_cast<char>(std::tolower(c));
  disk.Put(lower, "not our spelling");
  ContentsReport report;
  RunTask(CheckInto(disk, {{1, 5}, {2, 5}, {3, 5}, {4, 5}}, Orphans::kRemove, report));
  EXPECT_EQ(report.removed, 1u);
  EXPECT_FALSE(disk.files_.contains(ContentName(5)));
  EXPECT_EQ(disk.files_.size(), 5u);
  ASSERT_EQ(report.broken.size(), 3u);
  EXPECT_EQ(report.broken[2], "it has 3 octets and was committed with 5");
  EXPECT_EQ(report.broken[3], "it has 18 octets and was committed with 5");
  EXPECT_EQ(report.broken[4], "it is missing");
  ASSERT_EQ(report.left_alone.size(), 2u);
  for (const auto& [file, reason] : report.left_alone)
    EXPECT_EQ(reason, "not a content of ours") << file;
}

TEST(Contents, NothingGoesWhileAPartOfTheLogIsNotKnown) {
  FaultyDisk disk;
  disk.Put(ContentName(5), "perhaps somebody's");
  ContentsReport report;
  RunTask(CheckInto(disk, {}, Orphans::kKeep, report));
  EXPECT_EQ(report.removed, 0u);
  EXPECT_TRUE(disk.files_.contains(ContentName(5)));
  ASSERT_EQ(report.left_alone.size(), 1u);
  EXPECT_EQ(report.left_alone[0].file, ContentName(5));
}

TEST(Contents, AnOrphanThatCannotBeRemovedIsSaid) {
  FaultyDisk disk;
  disk.Put(ContentName(5), "nobody's");
  disk.FailAt(1, FaultyDisk::Fault::kError, absl::UnknownError("EROFS"));
  ContentsReport report;
  RunTask(CheckInto(disk, {}, Orphans::kRemove, report));
  EXPECT_EQ(report.removed, 0u);
  ASSERT_EQ(report.left_alone.size(), 1u);
  EXPECT_EQ(report.left_alone[0].reason, "of no message, and not removed: EROFS");
}

TEST(Contents, AFaultOfTheDiskIsNotTakenForAMissingContent) {
  for (int at = 1; at <= 3; ++at) {
    FaultyDisk disk;
    disk.Put(ContentName(1), "whole");
    disk.FailLookAt(at, absl::UnknownError("EIO"));
    const absl::Status status = test::RunInFakeLoop([](FaultyDisk& on) -> io::Task<absl::Status> {
      ContentsReport report;
      CO_RETURN_IF_ERROR(co_await CheckInto(on, {{1, 5}}, Orphans::kRemove, report));
      if (report.broken.empty()) co_return absl::OkStatus();
      co_return absl::UnknownError(report.broken[1]);
    }(disk));
    EXPECT_EQ(Message(status), "EIO") << at;
    EXPECT_TRUE(disk.files_.contains(ContentName(1))) << at;
  }
}

}  // namespace
}  // namespace postern::qmgr
