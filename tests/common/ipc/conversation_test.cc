#include "common/ipc/conversation.h"

#include <gtest/gtest.h>

#include "common/ipc/protocol/catalogue.h"

namespace postern::ipc {
namespace {

namespace submission = protocol::submission;

TEST(Conversations, OnlyWhatTheTableAllowsMovesOn) {
  Conversations open(protocol::kSmtpdQmgr);
  EXPECT_FALSE(open.Advance(Side::kA, submission::kContent, 1).has_value())
      << "content before its stream";
  EXPECT_FALSE(open.Advance(Side::kB, submission::kSubmit, 2).has_value()) << "the wrong side";
  EXPECT_FALSE(open.Advance(Side::kA, submission::kSubmit, 2).has_value()) << "the other side's id";
  EXPECT_FALSE(open.Advance(Side::kA, 99, 1).has_value()) << "no such type";
  EXPECT_TRUE(open.Advance(Side::kA, submission::kSubmit, 1).has_value());
  EXPECT_FALSE(open.Advance(Side::kA, submission::kSubmit, 1).has_value()) << "opened twice";
  EXPECT_TRUE(open.Advance(Side::kA, submission::kContent, 1).has_value());
  EXPECT_FALSE(open.Advance(Side::kB, submission::kDone, 1).has_value()) << "done before the end";
  EXPECT_TRUE(open.Advance(Side::kA, submission::kEnd, 1).has_value());
  EXPECT_TRUE(open.Advance(Side::kB, submission::kCredit, 1).has_value())
      << "credit may cross the end";
  EXPECT_FALSE(open.Advance(Side::kA, submission::kContent, 1).has_value())
      << "content after the end";
  EXPECT_TRUE(open.Advance(Side::kB, submission::kDone, 1).has_value());
  EXPECT_EQ(open.open(Side::kA), 0u);
}

TEST(Conversations, OpenOnesAreCountedUpToTheLimit) {
  Conversations open(protocol::kSmtpdQmgr);
  for (uint32_t i = 0; i < submission::kMaxOpenStreams; ++i)
    ASSERT_TRUE(open.Advance(Side::kA, submission::kSubmit, 2 * i + 1).has_value());
  EXPECT_FALSE(
      open.Advance(Side::kA, submission::kSubmit, 2 * submission::kMaxOpenStreams + 1).has_value());
}

TEST(Conversations, AnEndedOneMakesRoomForAnother) {
  static constexpr Rule kRules[] = {{1, Side::kA, In(kIdle), 1},
                                    {2, Side::kB, In(1), kIdle},
                                    {3, Side::kB, In(kIdle), 1},
                                    {4, Side::kA, In(1), kIdle},
                                    {5, Side::kA, In(kIdle, 1), kStay}};
  const Edge edge{.name = "a-b", .rules = kRules, .max_payload_octets = 10, .max_open = 2};
  Conversations open(edge);
  EXPECT_TRUE(open.Advance(Side::kA, 1, 1).has_value());
  EXPECT_TRUE(open.Advance(Side::kA, 1, 3).has_value());
  EXPECT_FALSE(open.Advance(Side::kA, 1, 5).has_value());
  EXPECT_TRUE(open.Advance(Side::kB, 3, 2).has_value()) << "each side has its own room";
  EXPECT_TRUE(open.Advance(Side::kB, 2, 1).has_value());
  EXPECT_EQ(open.phase(1), kIdle);
  EXPECT_TRUE(open.Advance(Side::kA, 1, 5).has_value());
  EXPECT_EQ(open.open(Side::kA), 2u);
  EXPECT_EQ(open.open(Side::kB), 1u);
  EXPECT_TRUE(open.Advance(Side::kA, 5, 7).has_value()) << "what opens nothing needs no room";
  EXPECT_EQ(open.open(Side::kA), 2u);
}

// Every message in every phase, from either side, with either side's id: as the tables say.
TEST(Conversations, EveryEdgeAllowsWhatItsTableSaysAndNothingElse) {
  protocol::ForEachEdge([](const Edge& edge, auto) {
    for (const Rule& rule : edge.rules) {
      for (const Side sender : {Side::kA, Side::kB}) {
        for (const uint32_t id : {1u, 2u}) {
          Conversations open(edge);
          const Side opener = id == 1 ? Side::kA : Side::kB;
          const bool allowed =
              sender == rule.sender && (rule.from & In(kIdle)) != 0 && opener == sender;
          EXPECT_EQ(open.Advance(sender, rule.type, id).has_value(), allowed)
              << edge.name << " type " << int{rule.type} << " id " << id;
          const bool opens = allowed && rule.to != kIdle && rule.to != kStay;
          EXPECT_EQ(open.open(opener), opens ? 1u : 0u) << edge.name << " " << int{rule.type};
          if (!opens) continue;
          for (const Rule& next : edge.rules) {
            Conversations then = open;
            const bool may = (next.from & In(rule.to)) != 0;
            EXPECT_EQ(then.Advance(next.sender, next.type, id).has_value(), may)
                << edge.name << " type " << int{next.type} << " after " << int{rule.type};
            EXPECT_FALSE(open.Advance(Other(next.sender), next.type, id).has_value());
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace postern::ipc
