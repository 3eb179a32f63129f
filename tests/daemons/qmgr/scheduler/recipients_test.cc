#include "daemons/qmgr/scheduler/recipients.h"

#include <gtest/gtest.h>

#include <numeric>

namespace postern::qmgr {
namespace {

TEST(Recipients, HoldAnyNumberThroughAssignAndMove) {
  for (const size_t before : {0u, 1u, 2u, 3u, 100u}) {
    for (const size_t after : {0u, 1u, 2u, 3u, 100u}) {
      SCOPED_TRACE(::testing::Message() << before << " then " << after);
      std::vector<uint32_t> first(before);
      std::vector<uint32_t> second(after);
      std::iota(first.begin(), first.end(), 10u);
      std::iota(second.begin(), second.end(), 1000u);
      Recipients recipients;
      recipients.Assign(first);
      EXPECT_EQ(recipients.ToVector(), first);
      recipients.Assign(second);
      EXPECT_EQ(recipients.ToVector(), second);
      Recipients other;
      other.Assign(first);
      other = std::move(recipients);
      EXPECT_EQ(other.ToVector(), second);
      EXPECT_EQ(other.size(), after);
    }
  }
}

TEST(Recipients, AreSmall) { EXPECT_LE(sizeof(Recipients), 16u); }

}  // namespace
}  // namespace postern::qmgr
