#include "daemons/qmgr/scheduler/timer_heap.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace postern::qmgr {
namespace {

TEST(TimerHeap, AgreesWithASortedSetForManySeeds) {
  for (uint32_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    TimerHeap heap;
    std::vector<uint32_t> places(200, kNone);
    std::vector<int64_t> moments(200);
    std::set<std::pair<int64_t, uint32_t>> reference;
    const auto place = [&places](uint32_t slot) -> uint32_t& { return places[slot]; };
    for (int step = 0; step < 2000; ++step) {
      const uint32_t slot = random() % 200;
      if (places[slot] == kNone) {
        moments[slot] = static_cast<int64_t>(random() % 100) - 50;
        heap.Add(moments[slot], slot, place);
        reference.insert({moments[slot], slot});
      } else {
        heap.Remove(slot, place);
        reference.erase({moments[slot], slot});
        EXPECT_EQ(places[slot], kNone);
      }
      ASSERT_EQ(heap.size(), reference.size());
      ASSERT_EQ(heap.empty(), reference.empty());
      if (reference.empty()) continue;
      ASSERT_EQ(heap.first_us(), reference.begin()->first);
      ASSERT_EQ(moments[heap.first()], heap.first_us());
    }
  }
}

}  // namespace
}  // namespace postern::qmgr
