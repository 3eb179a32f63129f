#include "common/log/redact.h"

#include <gtest/gtest.h>

namespace postern::log {
namespace {

TEST(Redacted, NeitherWordsNorLengthOfASecretShow) {
  EXPECT_EQ(Redacted("hunter2"), "[redacted]");
  EXPECT_EQ(Redacted(std::string(500, 'x')), "[redacted]");
  EXPECT_EQ(Redacted(""), "[empty]");
}

TEST(RedactedMailbox, KeepsTheDomainAndOneLetter) {
  struct Row {
    std::string_view mailbox, masked;
  };
  for (const Row& row :
       {Row{"alice@example.org", "a***@example.org"}, Row{"a@example.org", "***@example.org"},
        Row{"@example.org", "[redacted]"}, Row{"postmaster", "[redacted]"}, Row{"", "[empty]"},
        Row{"\"x@y\"@example.org", "***@example.org"},
        Row{"\xC3\xA9t\xC3\xA9@example.org", "***@example.org"}}) {
    EXPECT_EQ(RedactedMailbox(row.mailbox), row.masked) << row.mailbox;
  }
}

}  // namespace
}  // namespace postern::log
