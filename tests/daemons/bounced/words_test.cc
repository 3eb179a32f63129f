#include "daemons/bounced/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::bounced {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Advice, KnownFailuresSayWhatToDo) {
  EXPECT_THAT(std::string(Advice(Action::kFailed, "5.1.1")), HasSubstr("no such mailbox"));
  EXPECT_THAT(std::string(Advice(Action::kFailed, "5.1.10")), HasSubstr("takes no mail"));
  EXPECT_THAT(std::string(Advice(Action::kFailed, "4.4.7")), HasSubstr("ran out"));
  EXPECT_THAT(std::string(Advice(Action::kFailed, "")), HasSubstr("postmaster"));
  EXPECT_THAT(std::string(Advice(Action::kFailed, "5.9.9")), HasSubstr("postmaster"));
}

TEST(Words, QuoteTheServerLineByLineBehindAMark) {
  Report report = {
      .host = "mx.example.net",
      .recipients = {{.address = "b@example.org",
                      .status = "5.1.1",
                      .remote = "mail.example.org",
                      .diagnostic = "550 " + std::string(90, 'x') + " end\r\n\r\n--boundary",
                      .remote_words = true}}};
  const std::string words = Words(report, Charset::kAscii, true);
  EXPECT_THAT(words, HasSubstr("The server mail.example.org said:\r\n    > 550\r\n    > xxx"));
  EXPECT_THAT(words, Not(HasSubstr("\r\n--boundary")));
  EXPECT_THAT(words, HasSubstr("    > end --boundary\r\n"));
}

TEST(Words, ADelayNamesTheEndOfTheTries) {
  Report report = {.kind = Kind::kDelay,
                   .host = "mx.example.net",
                   .recipients = {{.address = "b@example.org",
                                   .action = Action::kDelayed,
                                   .will_retry_until_us = 1'795'510'652'123'456}}};
  EXPECT_THAT(Words(report, Charset::kAscii, false),
              HasSubstr("until Tue, 24 Nov 2026 08:57:32 +0000."));
}

}  // namespace
}  // namespace postern::bounced
