#include "common/smtp/reply_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/smtp/limits.h"

namespace postern::smtp {
namespace {

using Outcome = ReplyParser::Outcome;

// Every reply in `wire`, given in pieces of `step` octets; "malformed" at the end if it came to
// that.
std::vector<std::string> ParseAll(std::string_view wire, size_t step) {
  ReplyParser parser;
  std::vector<std::string> replies;
  for (size_t at = 0; at < wire.size(); at += step) {
    std::string_view input = wire.substr(at, step);
    while (true) {
      const Outcome outcome = parser.Next(input);
      if (outcome == Outcome::kNeedMore) break;
      if (outcome == Outcome::kMalformed) {
        EXPECT_FALSE(parser.error().reason.empty());
        replies.push_back("malformed");
        return replies;
      }
      replies.push_back(parser.reply().ToString());
    }
  }
  if (parser.midway()) replies.push_back("midway");
  return replies;
}

TEST(ReplyParser, ReadsWhatServersSay) {
  struct {
    const char* wire;
    std::vector<std::string> replies;
  } const rows[] = {
      {"220 mx ESMTP\r\n", {"220 mx ESMTP"}},
      {"250 OK\n", {"250 OK"}},
      {"250\r\n", {"250"}},
      {"250 \r\n", {"250"}},
      {"250-a\r\n250-b\r\n250 c\r\n", {"250 a; b; c"}},
      {"250-a\r\n250\r\n", {"250 a; "}},
      {"250 a\r\n354 b\r\n", {"250 a", "354 b"}},
      {"550 5.1.1 no user\r\n", {"550 5.1.1 no user"}},
      {"550 5.1.1\r\n", {"550 5.1.1"}},
      {"550-5.1.1 a\r\n550 5.1.1 b\r\n", {"550 5.1.1 a; b"}},
      {"550-5.1.1 a\r\n550 5.7.1 b\r\n", {"550 5.1.1 a; 5.7.1 b"}},
      {"550-a\r\n550 5.7.1 b\r\n", {"550 a; 5.7.1 b"}},
      {"550 4.1.1 other class\r\n", {"550 4.1.1 other class"}},
      {"250-2.0.0 a\r\n250 b\r\n", {"250 2.0.0 a; b"}},
      {"599 x\r\n", {"599 x"}},
      {"200 x\r\n", {"200 x"}},
      {"199 x\r\n", {"malformed"}},
      {"600 x\r\n", {"malformed"}},
      {"250-a\r\n251 b\r\n", {"malformed"}},
      {"250-a\r\n550 b\r\n", {"malformed"}},
      {"hello\r\n", {"malformed"}},
      {"\r\n", {"malformed"}},
      {"25\r\n", {"malformed"}},
      {"2500 x\r\n", {"malformed"}},
      {"250x\r\n", {"malformed"}},
      {" 250 x\r\n", {"malformed"}},
      {"HTTP/1.1 400 Bad Request\r\n", {"malformed"}},
      {"250 x", {"midway"}},
      {"250-x\r\n", {"midway"}},
      {"", {}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.wire);
    for (const size_t step : {1, 2, 3, 7, 1000}) EXPECT_EQ(ParseAll(row.wire, step), row.replies);
  }
}

TEST(ReplyParser, SplitsTheEnhancedCodeOffWhereItsClassFits) {
  ReplyParser parser;
  std::string_view input = "550 5.1.1 no\r\n550 4.1.1 no\r\n";
  ASSERT_EQ(parser.Next(input), Outcome::kReply);
  EXPECT_EQ(parser.reply(), (Reply{550, {5, 1, 1}, "no"}));
  ASSERT_EQ(parser.Next(input), Outcome::kReply);
  EXPECT_EQ(parser.reply(), (Reply{550, {}, "4.1.1 no"}));
}

TEST(ReplyParser, StaysFailed) {
  ReplyParser parser;
  std::string_view input = "x\r\n250 OK\r\n";
  EXPECT_EQ(parser.Next(input), Outcome::kMalformed);
  input = "250 OK\r\n";
  EXPECT_EQ(parser.Next(input), Outcome::kMalformed);
}

TEST(ReplyParser, LinesAreLimited) {
  const std::string fits = "250 " + std::string(kMaxReplyLine - 6, 'x') + "\r\n";
  for (const size_t step : {1, 100, 5000}) {
    EXPECT_EQ(ParseAll(fits, step).at(0), fits.substr(0, fits.size() - 2));
    EXPECT_EQ(ParseAll(' ' + fits, step).at(0), "malformed");
    EXPECT_EQ(ParseAll("250 x" + fits.substr(4), step).at(0), "malformed");
  }
}

TEST(ReplyParser, AnEndlessLineIsNotCollected) {
  ReplyParser parser;
  const std::string piece(kMaxReplyLine, '2');
  std::string_view input = piece;
  EXPECT_EQ(parser.Next(input), Outcome::kNeedMore);
  input = piece;
  EXPECT_EQ(parser.Next(input), Outcome::kMalformed);
}

TEST(ReplyParser, NumberOfLinesIsLimited) {
  std::string most;
  for (size_t i = 1; i < kMaxReplyLines; ++i) most += "250-x\r\n";
  EXPECT_NE(ParseAll(most + "250 x\r\n", 1000).at(0), "malformed");
  EXPECT_EQ(ParseAll(most + "250-x\r\n250 x\r\n", 1000).at(0), "malformed");
}

TEST(ReplyParser, OctetsOfOneReplyAreLimitedAndCountedAnewForTheNext) {
  const std::string line = "250-" + std::string(1018, 'x') + "\r\n";  // 1024
  std::string most;
  for (size_t i = 1; i < kMaxReplyOctets / 1024; ++i) most += line;
  std::string last = line;
  last[3] = ' ';
  EXPECT_NE(ParseAll(most + last + most + last, 1000).at(1), "malformed");
  EXPECT_EQ(ParseAll(most + line + last, 1000).at(0), "malformed");
}

}  // namespace
}  // namespace postern::smtp
