#include "common/smtp/line_splitter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::smtp {
namespace {

using Outcome = LineSplitter::Outcome;
using Events = std::vector<std::string>;

constexpr size_t kMax = 10;

Events Split(std::string_view wire, size_t step) {
  LineSplitter splitter(kMax);
  Events events;
  for (size_t at = 0; at < wire.size(); at += step) {
    const std::string piece(wire.substr(at, step));  // a buffer of its own, gone afterwards
    std::string_view input = piece;
    std::string_view line;
    while (true) {
      const Outcome outcome = splitter.Next(input, line);
      if (outcome == Outcome::kNeedMore) break;
      events.push_back(outcome == Outcome::kLine      ? "line " + std::string(line)
                       : outcome == Outcome::kTooLong ? "too long"
                                                      : "bare");
    }
    EXPECT_TRUE(input.empty());
  }
  if (splitter.pending_octets() > 0) {
    events.push_back("pending " + std::to_string(splitter.pending_octets()));
  }
  return events;
}

TEST(LineSplitter, OutcomesDoNotDependOnHowTheBytesArrive) {
  struct {
    std::string wire;
    Events events;
  } const rows[] = {
      {"", {}},
      {"\r\n", {"line "}},
      {"NOOP\r\n", {"line NOOP"}},
      {"a\r\nb\r\nc", {"line a", "line b", "pending 1"}},
      {"a\r", {"pending 2"}},
      {"12345678\r\n", {"line 12345678"}},
      {"123456789\r\n", {"too long"}},
      {"123456789\r\nx\r\n", {"too long", "line x"}},
      {std::string(1000, 'x') + "\r\ny\r\n", {"too long", "line y"}},
      {std::string(1000, 'x'), {"pending 1000"}},
      // Bare newlines (S03), in short lines and in over-long ones.
      {"\n", {"bare"}},
      {"a\nb\r\n", {"bare", "line b"}},
      {"a\rb\r\nc\r\n", {"bare", "line c"}},
      {"a\r\r\n", {"bare"}},
      {"\ra\r\n", {"bare"}},
      {"12345678901234567890\nQUIT\r\n", {"bare", "line QUIT"}},
      {"1234567890\r1234567890\r\nQUIT\r\n", {"bare", "line QUIT"}},
      {"1234567890\r\r\n", {"bare"}},
      {"123456789\n", {"bare"}},
      // NUL is nothing to this layer; commands refuse it.
      {std::string("a\0b\r\n", 5), {std::string("line a\0b", 8)}},
      {std::string("a\r\0\n", 4), {"bare"}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(testing::PrintToString(row.wire));
    for (size_t step = 1; step <= row.wire.size() + 1; ++step) {
      EXPECT_EQ(Split(row.wire, step), row.events) << "in pieces of " << step;
    }
  }
}

TEST(LineSplitter, AWholeLineIsNotCopied) {
  const std::string wire = "EHLO x\r\n";
  LineSplitter splitter;
  std::string_view input = wire;
  std::string_view line;
  ASSERT_EQ(splitter.Next(input, line), Outcome::kLine);
  EXPECT_EQ(line.data(), wire.data());
}

TEST(LineSplitter, TheLimitCanGrowForAuth) {
  LineSplitter splitter(kMax);
  splitter.set_max_octets(20);
  std::string_view input = "123456789012345678\r\n";
  std::string_view line;
  EXPECT_EQ(splitter.Next(input, line), Outcome::kLine);
}

TEST(LineSplitter, NothingIsPendingBehindALine) {
  LineSplitter splitter;
  std::string_view line;
  std::string_view input = "NO";
  ASSERT_EQ(splitter.Next(input, line), Outcome::kNeedMore);
  EXPECT_EQ(splitter.pending_octets(), 2u);
  input = "OP\r\n";
  ASSERT_EQ(splitter.Next(input, line), Outcome::kLine);
  EXPECT_EQ(line, "NOOP");
  EXPECT_EQ(splitter.pending_octets(), 0u);
  ASSERT_EQ(splitter.Next(input, line), Outcome::kNeedMore);
  EXPECT_EQ(splitter.pending_octets(), 0u);
}

}  // namespace
}  // namespace postern::smtp
