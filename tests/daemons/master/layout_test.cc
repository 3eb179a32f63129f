#include "daemons/master/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/daemons/master/scratch.h"
#include "tests/testing/status_matchers.h"

namespace postern::master {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;

config::Settings SettingsAt(const test::ScratchDirectory& scratch) {
  config::Settings settings;
  settings.root = scratch.path();
  settings.run_directory = scratch / "run/postern";
  settings.queue.directories = {scratch / "spool/a", scratch / "spool/b"};
  settings.log.file = scratch / "log/postern.log";
  settings.local.format = config::MailboxFormat::kMaildir;
  return settings;
}

struct stat About(const std::string& path) {
  struct stat about{};
  EXPECT_EQ(::lstat(path.c_str(), &about), 0) << path;
  return about;
}

Identity Ourselves() { return {}; }
Identity Somebody() { return {.drop = true, .uid = 64777, .gid = 64777}; }

TEST(MakeDirectories, MakesAllThatTheConfigurationNames) {
  const test::ScratchDirectory scratch;
  const config::Settings settings = SettingsAt(scratch);
  const std::vector<protocol::control::Account> accounts = {{.name = "alice",
                                                             .uid = ::getuid(),
                                                             .gid = ::getgid(),
                                                             .home = {},
                                                             .mailbox = scratch / "mail/alice"}};
  ASSERT_THAT(MakeRunDirectory(settings), IsOk());
  ASSERT_THAT(MakeDirectories(settings, Ourselves(), accounts), IsOk());
  for (const auto& [path, mode] : {std::pair{"run/postern", 0755u},
                                   {"log", 0755u},
                                   {"spool/a", 0700u},
                                   {"spool/b/log", 0700u},
                                   {"spool/b/content", 0700u},
                                   {"mail/alice", 0700u}}) {
    EXPECT_EQ(About(scratch / path).st_mode & 07777, mode) << path;
  }
  std::ofstream(scratch / "spool/a/log/1") << "kept";
  EXPECT_THAT(MakeDirectories(settings, Ourselves(), accounts), IsOk())
      << "again, with what is there";
  EXPECT_TRUE(std::filesystem::exists(scratch / "spool/a/log/1"));
}

TEST(MakeDirectories, GivesTheSpoolToTheQueueManager) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives anything away";
  const test::ScratchDirectory scratch;
  const config::Settings settings = SettingsAt(scratch);
  ASSERT_THAT(MakeDirectories(settings, Somebody(), {}), IsOk());
  for (const char* path : {"spool/a", "spool/a/log", "spool/a/content", "spool/a/lock"})
    EXPECT_EQ(About(scratch / path).st_uid, Somebody().uid) << path;
}

TEST(MakeDirectories, RefusesASpoolOfAnotherUserAndSaysWhatToDo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sees a difference";
  const test::ScratchDirectory scratch;
  std::filesystem::create_directories(scratch / "spool/a");
  ASSERT_EQ(::chown((scratch / "spool/a").c_str(), 12345, 12345), 0);
  EXPECT_THAT(
      MakeDirectories(SettingsAt(scratch), Somebody(), {}),
      StatusIs(kPrecondition, AllOf(HasSubstr("user 12345"), HasSubstr("chown -R 64777:64777"))));
  EXPECT_EQ(About(scratch / "spool/a").st_uid, 12345u) << "nothing was given away";
}

TEST(MakeDirectories, NeverGivesAwayWhatALinkLeadsTo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives anything away";
  const test::ScratchDirectory scratch;
  std::filesystem::create_directories(scratch / "spool/a");
  std::filesystem::create_directories(scratch / "precious");
  std::filesystem::create_directory_symlink(scratch / "precious", scratch / "spool/a/log");
  EXPECT_THAT(MakeDirectories(SettingsAt(scratch), Somebody(), {}),
              StatusIs(kPrecondition, HasSubstr("link")));
  EXPECT_EQ(About(scratch / "precious").st_uid, 0u);
}

TEST(MakeDirectories, SaysWhatIsInTheWay) {
  const test::ScratchDirectory scratch;
  std::ofstream(scratch / "run") << "";
  EXPECT_THAT(MakeRunDirectory(SettingsAt(scratch)).ToString(),
              HasSubstr("make directory " + scratch / "run"));
  std::filesystem::create_directories(scratch / "spool");
  std::ofstream(scratch / "spool/a") << "";
  EXPECT_THAT(MakeDirectories(SettingsAt(scratch), Ourselves(), {}),
              StatusIs(kPrecondition, HasSubstr("spool/a is no directory")));
}

TEST(OpenLog, AppendsAndNeverGoesThroughALink) {
  const test::ScratchDirectory scratch;
  config::Settings settings;
  settings.log.file = scratch / "log";
  std::ofstream(settings.log.file) << "before\n";
  {
    const auto log = OpenLog(settings);
    ASSERT_THAT(log, IsOk());
    ASSERT_EQ(::write(log->get(), "after\n", 6), 6);
  }
  EXPECT_EQ(std::filesystem::file_size(settings.log.file), 13u);
  std::filesystem::create_symlink(settings.log.file, scratch / "link");
  settings.log.file = scratch / "link";
  EXPECT_FALSE(OpenLog(settings).ok());
}

TEST(OpenLog, SaysWhichFileCannotBeOpened) {
  config::Settings settings;
  settings.log.file = "/nonexistent/postern.log";
  EXPECT_THAT(OpenLog(settings),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/postern.log")));
}

}  // namespace
}  // namespace postern::master
