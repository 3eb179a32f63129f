#include "daemons/qmgr/scheduler/slab.h"

#include <gtest/gtest.h>

namespace postern::qmgr {
namespace {

struct Node {
  int value = 0;
  Links links;
};

TEST(Slab, NumbersAreUsedAgainAndObjectsComeBackClean) {
  Slab<Node> slab;
  const uint32_t a = slab.New();
  const uint32_t b = slab.New();
  slab[a].value = 5;
  slab[b].value = 6;
  slab.Free(a);
  EXPECT_EQ(slab.live(), 1u);
  EXPECT_EQ(slab.New(), a);
  EXPECT_EQ(slab[a].value, 0);
  EXPECT_EQ(slab[b].value, 6);
}

TEST(Slab, ObjectsKeepTheirAddressWhileItGrows) {
  Slab<Node> slab;
  const Node* first = &slab[slab.New()];
  for (int i = 0; i < 1000; ++i) slab.New();
  EXPECT_EQ(first, &slab[0]);
  EXPECT_EQ(slab.live(), 1001u);
  EXPECT_EQ(slab.end(), 1001u);
}

TEST(List, UnlinksAtBothEndsAndInTheMiddle) {
  for (uint32_t gone = 0; gone < 3; ++gone) {
    Slab<Node> slab;
    List list;
    const auto links = [&slab](uint32_t slot) -> Links& { return slab[slot].links; };
    for (int i = 0; i < 3; ++i) PushBack(list, slab.New(), links);
    Unlink(list, gone, links);
    std::vector<uint32_t> forward;
    std::vector<uint32_t> back;
    for (uint32_t at = list.head; at != kNone; at = slab[at].links.next) forward.push_back(at);
    for (uint32_t at = list.tail; at != kNone; at = slab[at].links.prev) back.push_back(at);
    EXPECT_EQ(forward.size(), 2u);
    EXPECT_EQ(forward, std::vector<uint32_t>(back.rbegin(), back.rend()));
    for (const uint32_t at : forward) EXPECT_NE(at, gone);
    for (const uint32_t at : forward) Unlink(list, at, links);
    EXPECT_TRUE(list.empty());
    EXPECT_EQ(list.tail, kNone);
  }
}

}  // namespace
}  // namespace postern::qmgr
