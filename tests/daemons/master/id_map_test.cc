#include "daemons/master/id_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace postern::master {
namespace {

using test::IsOk;
using test::StatusIs;

TEST(IdentityMap, GivesEachIdOfOursItsOwnNumber) {
  const struct {
    const char* label;
    const char* own;
    const char* map;
  } rows[] = {
      {"all there are", "         0          0 4294967295\n", "0 0 4294967295\n"},
      {"a container", "0 100000 65536\n", "0 0 65536\n"},
      {"two ranges", "0 1000 1\n1 100000 65535\n", "0 0 1\n1 1 65535\n"},
      {"no last line end", "5 7 9", "5 5 9\n"},
  };
  for (const auto& row : rows) {
    const auto map = IdentityMap(row.own);
    ASSERT_THAT(map, IsOk()) << row.label;
    EXPECT_EQ(*map, row.map) << row.label;
  }
}

TEST(IdentityMap, TakesNothingElse) {
  for (const char* own : {"", "\n", "0 0", "a b c", "0 0 4294967296", "-1 0 1"}) {
    EXPECT_THAT(IdentityMap(own), StatusIs(absl::StatusCode::kInvalidArgument)) << own;
  }
}

TEST(WriteIdMaps, SaysWhichMapCouldNotBeWritten) {
  // Ours is written already, or not ours to write.
  const absl::Status refused = WriteIdMaps(::getpid());
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(Message(refused)), ::testing::HasSubstr("/gid_map: "));
}

}  // namespace
}  // namespace postern::master
