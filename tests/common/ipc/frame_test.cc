#include "common/ipc/frame.h"

#include <gtest/gtest.h>

namespace postern::ipc {
namespace {

TEST(Frame, UnknownFlagsAndTooLargePayloadsAreRefused) {
  std::string head;
  AppendFrameHeader(head, {.payload_octets = 10, .type = 1, .has_descriptor = true, .id = 5});
  ASSERT_EQ(head.size(), kFrameHeaderOctets);
  EXPECT_TRUE(ParseFrameHeader(head, 10).has_value());
  EXPECT_TRUE(ParseFrameHeader(head, 10)->has_descriptor);
  EXPECT_FALSE(ParseFrameHeader(head, 9).has_value());
  head[5] = 2;
  EXPECT_FALSE(ParseFrameHeader(head, 10).has_value());
}

TEST(Frame, AHeaderIsTwelveOctetsAsItIsSaid) {
  std::string head;
  AppendFrameHeader(
      head, {.payload_octets = 0x04030201, .type = 0x05, .has_descriptor = true, .id = 0x0c0b0a09});
  EXPECT_EQ(head, std::string("\x01\x02\x03\x04\x05\x01\0\0\x09\x0a\x0b\x0c", 12));
  const auto read = ParseFrameHeader(head, 0x04030201);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->payload_octets, 0x04030201u);
  EXPECT_EQ(read->type, 5);
  EXPECT_EQ(read->id, 0x0c0b0a09u);
}

TEST(Frame, EveryTruncationIsRefused) {
  std::string head;
  AppendFrameHeader(head, {.payload_octets = 0, .type = 1, .id = 1});
  for (size_t length = 0; length < head.size(); ++length)
    EXPECT_FALSE(ParseFrameHeader(std::string_view(head).substr(0, length), 10).has_value());
}

TEST(Frame, EveryBitThatMustBeZeroIsLookedAt) {
  for (size_t at = 5; at < 8; ++at) {
    for (int bit = at == 5 ? 1 : 0; bit < 8; ++bit) {
      std::string head;
      AppendFrameHeader(head, {.payload_octets = 0, .type = 1, .id = 1});
      head[at] = static_cast<char>(1 << bit);
      EXPECT_FALSE(ParseFrameHeader(head, 10).has_value()) << at << " bit " << bit;
    }
  }
}

TEST(Frame, AnEdgeKnowsItsTypesAndNoOthers) {
  static constexpr Rule kRules[] = {{1, Side::kA, In(kIdle), 1}, {7, Side::kB, In(1), kIdle}};
  const Edge edge{.name = "a-b", .rules = kRules, .max_payload_octets = 10, .max_open = 1};
  EXPECT_EQ(edge.RuleFor(1), &kRules[0]);
  EXPECT_EQ(edge.RuleFor(7), &kRules[1]);
  EXPECT_EQ(edge.RuleFor(0), nullptr);
  EXPECT_EQ(edge.RuleFor(255), nullptr);
}

}  // namespace
}  // namespace postern::ipc
