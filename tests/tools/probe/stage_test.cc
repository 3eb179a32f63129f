#include "tools/probe/stage.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

namespace postern::probe {
namespace {

TEST(ProbeStage, TidiesUpAndLeavesNothingBehind) {
  std::string directory;
  pid_t victim = 0;
  {
    const auto made = Stage::Make("/tmp", {});
    ASSERT_TRUE(made.ok()) << made.status().ToString();
    Stage& stage = **made;
    directory = stage.directory;
    victim = stage.victim;
    EXPECT_EQ(::kill(victim, 0), 0);
    std::filesystem::remove(stage.spool + "/file");
    std::filesystem::create_directory(stage.open_directory + "/made");
    ASSERT_TRUE(stage.TidyUp().ok());
    EXPECT_TRUE(std::filesystem::exists(stage.spool + "/file"));
    EXPECT_FALSE(std::filesystem::exists(stage.open_directory + "/made"));
  }
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_NE(::kill(victim, 0), 0);
}

}  // namespace
}  // namespace postern::probe
