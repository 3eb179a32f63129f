// The constants against the standards they come from, and against what the code does at their edge.
#include "common/smtp/limits.h"

#include <gtest/gtest.h>

#include <string>

#include "common/smtp/command.h"
#include "common/smtp/line_splitter.h"
#include "common/smtp/reply.h"
#include "common/smtp/timeouts.h"

namespace postern::smtp {
namespace {

TEST(Limits, AreThoseOfTheStandards) {
  struct {
    const char* where;
    size_t limit;
    size_t value;
  } const rows[] = {
      {"RFC 5321 section 4.5.3.1.1, local part", kMaxLocalPart, 64},
      {"RFC 5321 section 4.5.3.1.2, domain", kMaxDomain, 255},
      {"RFC 1035 section 2.3.4, label", kMaxLabel, 63},
      {"RFC 5321 section 4.5.3.1.3, path", kMaxPath, 256},
      {"RFC 5321 section 4.5.3.1.4, command line", kCommandLine, 512},
      {"RFC 5321 section 4.5.3.1.5, reply line", kReplyLine, 512},
      {"RFC 5321 section 4.5.3.1.6, text line", kTextLine, 1000},
      {"RFC 5321 section 4.5.3.1.8, recipients", kMinRecipients, 100},
      {"RFC 3461 section 4.4, ENVID", kMaxEnvid, 100},
      {"RFC 3461 section 4.2, ORCPT", kMaxOrcpt, 500},
      {"RFC 4954 section 4, AUTH line", kMaxAuthLine, 12288},
      {"RFC 1870 section 4, SIZE digits", kMaxSizeDigits, 20},
      {"RFC 4422 section 3.1, mechanism", kMaxMechanism, 20},
  };
  for (const auto& row : rows) EXPECT_EQ(row.limit, row.value) << row.where;
}

// What each extension adds to the 512 octets of a command line.
TEST(Limits, ACommandLineHasRoomForAllExtensions) {
  const size_t mail = kCommandLine + 26 + 18 + 10 + 120 + 500;  // SIZE BODY SMTPUTF8 DSN AUTH
  const size_t rcpt = kCommandLine + 529;                       // DSN
  EXPECT_GE(kMaxCommandLine, mail);
  EXPECT_GE(kMaxCommandLine, rcpt);
  EXPECT_GE(kMaxDiscardedLine, kMaxCommandLine);
}

TEST(Limits, TheLongestPathWithAllParametersIsRead) {
  const std::string path = std::string(64, 'l') + '@' + std::string(63, 'd') + '.' +
                           std::string(63, 'd') + '.' + std::string(61, 'd');
  ASSERT_EQ(path.size() + 2, kMaxPath);
  const std::string rcpt = "RCPT TO:<" + path + "> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;" +
                           std::string(kMaxOrcpt - 7, 'o');
  EXPECT_LE(rcpt.size() + 2, kMaxCommandLine);
  EXPECT_TRUE(ParseCommand(rcpt, {}).has_value());
  EXPECT_FALSE(ParseCommand(rcpt + 'o', {}).has_value()) << "ORCPT beyond 500";
  const std::string mail = "MAIL FROM:<" + path + "> SIZE=12345678901234567890 BODY=BINARYMIME" +
                           " SMTPUTF8 RET=FULL ENVID=" + std::string(kMaxEnvid, 'e');
  EXPECT_TRUE(ParseCommand(mail, {}).has_value());
  EXPECT_FALSE(ParseCommand(mail + 'e', {}).has_value()) << "ENVID beyond 100";
}

TEST(Limits, TheLimitOfALineIncludesItsEnd) {
  for (const size_t octets : {kMaxCommandLine - 1, kMaxCommandLine, kMaxCommandLine + 1}) {
    LineSplitter splitter;
    const std::string wire = std::string(octets - 2, 'x') + "\r\n";
    std::string_view input = wire;
    std::string_view line;
    EXPECT_EQ(splitter.Next(input, line), octets <= kMaxCommandLine
                                              ? LineSplitter::Outcome::kLine
                                              : LineSplitter::Outcome::kTooLong)
        << octets;
  }
}

TEST(Limits, NoReplyLineIsLonger) {
  for (size_t octets = kReplyLine - 20; octets < kReplyLine + 20; ++octets) {
    const std::string wire = FormatReply({250, {2, 0, 0}, std::string(octets, 'x')});
    for (size_t at = 0; at < wire.size();) {
      const size_t end = wire.find("\r\n", at) + 2;
      EXPECT_LE(end - at, kReplyLine);
      at = end;
    }
  }
}

TEST(Timeouts, AreThoseOfTheStandard) {
  struct {
    const char* section;
    std::chrono::seconds timeout;
    int minutes;
  } const rows[] = {
      {"4.5.3.2.1", kGreetingTimeout, 5},  {"4.5.3.2.2", kMailTimeout, 5},
      {"4.5.3.2.3", kRcptTimeout, 5},      {"4.5.3.2.4", kDataInitiationTimeout, 2},
      {"4.5.3.2.5", kDataBlockTimeout, 3}, {"4.5.3.2.6", kDataTerminationTimeout, 10},
      {"4.5.3.2.7", kServerTimeout, 5},
  };
  for (const auto& row : rows)
    EXPECT_EQ(row.timeout, std::chrono::minutes(row.minutes)) << row.section;
  EXPECT_GE(kOtherCommandTimeout, std::chrono::minutes(5)) << "as long as for any other command";
}

}  // namespace
}  // namespace postern::smtp
