#include "daemons/bounced/compose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::bounced {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kNow = 1'795'510'652'123'456;
constexpr std::string_view kMessage = "From: a@example.net\r\nSubject: hello\r\n\r\nThe body.\r\n";

Report Failure() {
  return {.kind = Kind::kFailure,
          .host = "mx.example.net",
          .notice_id = "14D2PF2DBSQQG",
          .now_us = kNow,
          .arrival_us = kNow - 5'000'000,
          .sender = "a@example.net",
          .returned = kMessage,
          .complete = true,
          .recipients = {{.address = "b@example.org",
                          .orcpt = "rfc822;Bob@example.org",
                          .action = Action::kFailed,
                          .status = "5.1.1",
                          .remote = "mail.example.org",
                          .diagnostic = "550 5.1.1 no such user",
                          .remote_words = true,
                          .last_attempt_us = kNow}}};
}

// Replaces the boundary, which depends on the content, by a fixed word.
std::string Golden(std::string content) {
  const size_t at = content.find("=_report_");
  const std::string boundary = content.substr(at, 17);
  for (size_t i; (i = content.find(boundary)) != content.npos;) content.replace(i, 17, "BOUNDARY");
  return content;
}

TEST(Compose, AFailureReadsSo) {
  EXPECT_EQ(Golden(Compose(Failure()).content),
            "Date: Tue, 24 Nov 2026 08:57:32 +0000\r\n"
            "From: Mail Delivery System <MAILER-DAEMON@mx.example.net>\r\n"
            "To: <a@example.net>\r\n"
            "Subject: Your message could not be delivered\r\n"
            "Message-ID: <14D2PF2DBSQQG@mx.example.net>\r\n"
            "Auto-Submitted: auto-replied\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: multipart/report; report-type=delivery-status;\r\n"
            " boundary=\"BOUNDARY\"\r\n"
            "Content-Transfer-Encoding: 7bit\r\n"
            "\r\n"
            "This is a report about mail, in the form of RFC 3464.\r\n"
            "\r\n"
            "--BOUNDARY\r\n"
            "Content-Type: text/plain; charset=us-ascii\r\n"
            "Content-Description: What happened\r\n"
            "Content-Transfer-Encoding: 7bit\r\n"
            "\r\n"
            "This is the mail system of mx.example.net.\r\n"
            "\r\n"
            "Your message could not be delivered to the addresses below and will not be\r\n"
            "tried again. Its header section is returned behind this report.\r\n"
            "\r\n"
            "<b@example.org>\r\n"
            "    There is no such mailbox. Check the part before the @ for a typing\r\n"
            "    error.\r\n"
            "    The server mail.example.org said:\r\n"
            "    > 550 5.1.1 no such user\r\n"
            "\r\n"
            "\r\n"
            "--BOUNDARY\r\n"
            "Content-Type: message/delivery-status\r\n"
            "Content-Description: Delivery report\r\n"
            "Content-Transfer-Encoding: 7bit\r\n"
            "\r\n"
            "Reporting-MTA: dns; mx.example.net\r\n"
            "Arrival-Date: Tue, 24 Nov 2026 08:57:27 +0000\r\n"
            "\r\n"
            "Original-Recipient: rfc822;Bob@example.org\r\n"
            "Final-Recipient: rfc822;b@example.org\r\n"
            "Action: failed\r\n"
            "Status: 5.1.1\r\n"
            "Remote-MTA: dns; mail.example.org\r\n"
            "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
            "Last-Attempt-Date: Tue, 24 Nov 2026 08:57:32 +0000\r\n"
            "\r\n"
            "--BOUNDARY\r\n"
            "Content-Type: text/rfc822-headers\r\n"
            "Content-Description: The header section of the message\r\n"
            "Content-Transfer-Encoding: 7bit\r\n"
            "\r\n"
            "From: a@example.net\r\n"
            "Subject: hello\r\n"
            "\r\n"
            "--BOUNDARY--\r\n");
}

TEST(Compose, ADelayTellsUntilWhen) {
  Report report = Failure();
  report.kind = Kind::kDelay;
  report.envid = "id 7";
  report.recipients[0].action = Action::kDelayed;
  report.recipients[0].status = "4.4.1";
  report.recipients[0].will_retry_until_us = kNow + 86'400'000'000;
  const std::string content = Compose(report).content;
  EXPECT_THAT(content, HasSubstr("Subject: Your message is delayed\r\n"));
  EXPECT_THAT(content, HasSubstr("\r\n\r\nOriginal-Envelope-Id: id 7\r\nReporting-MTA: "));
  EXPECT_THAT(content, HasSubstr("Action: delayed\r\nStatus: 4.4.1\r\n"));
  EXPECT_THAT(content, HasSubstr("Will-Retry-Until: Wed, 25 Nov 2026 08:57:32 +0000\r\n"));
}

TEST(Compose, SuccessesNameTheirAction) {
  Report report = Failure();
  report.kind = Kind::kSuccess;
  report.ret = Ret::kFull;
  Recipient& recipient = report.recipients[0];
  recipient.status = "2.0.0";
  struct Row {
    Action action;
    std::string_view name;
  };
  for (const Row& row : {Row{Action::kDelivered, "delivered"}, Row{Action::kRelayed, "relayed"},
                         Row{Action::kExpanded, "expanded"}}) {
    recipient.action = row.action;
    const Notice notice = Compose(report);
    EXPECT_THAT(notice.content,
                HasSubstr("Action: " + std::string(row.name) + "\r\nStatus: 2.0.0"));
    EXPECT_FALSE(notice.whole_message) << "RET=FULL speaks of failures only";
  }
}

TEST(Compose, AStatusThatDoesNotFitTheActionIsReplaced) {
  struct Row {
    Action action;
    std::string_view status, written;
  };
  for (const Row& row :
       {Row{Action::kFailed, "5.1.1", "5.1.1"}, Row{Action::kFailed, "4.4.7", "4.4.7"},
        Row{Action::kFailed, "5.123.999", "5.123.999"}, Row{Action::kFailed, "2.0.0", "5.0.0"},
        Row{Action::kFailed, "", "5.0.0"}, Row{Action::kFailed, "5.1", "5.0.0"},
        Row{Action::kFailed, "5..1", "5.0.0"}, Row{Action::kFailed, "5.1.1\r\nX: y", "5.0.0"},
        Row{Action::kFailed, "5.1.1234", "5.0.0"}, Row{Action::kFailed, "55.1.1", "5.0.0"},
        Row{Action::kDelayed, "5.1.1", "4.0.0"}, Row{Action::kDelayed, "4.2.2", "4.2.2"},
        Row{Action::kDelivered, "4.2.2", "2.0.0"}, Row{Action::kRelayed, "2.1.9", "2.1.9"}}) {
    Report report = Failure();
    report.recipients[0].action = row.action;
    report.recipients[0].status = row.status;
    EXPECT_THAT(Compose(report).content,
                HasSubstr("\r\nStatus: " + std::string(row.written) + "\r\n"));
  }
}

TEST(Compose, RetDecidesHowMuchComesBack) {
  struct Row {
    Ret ret;
    bool complete, whole;
  };
  for (const Row& row : {Row{Ret::kFull, true, true}, Row{Ret::kFull, false, false},
                         Row{Ret::kHeaders, true, false}, Row{Ret::kNotGiven, true, false}}) {
    Report report = Failure();
    report.ret = row.ret;
    report.complete = row.complete;
    const Notice notice = Compose(report);
    EXPECT_EQ(notice.whole_message, row.whole);
    EXPECT_EQ(notice.content.find("The body.") != std::string::npos, row.whole);
    EXPECT_THAT(notice.content, HasSubstr(row.whole ? "Content-Type: message/rfc822\r\n"
                                                    : "Content-Type: text/rfc822-headers\r\n"));
  }
}

TEST(Compose, TheBoundaryIsInNoPart) {
  Report report = Failure();
  const std::string first = Compose(report).content;
  // A message that quotes an earlier notice, boundary and all.
  report.ret = Ret::kFull;
  report.returned = first;
  const std::string second = Compose(report).content;
  const auto boundary = [](const std::string& content) {
    return content.substr(content.find("=_report_"), 17);
  };
  EXPECT_NE(boundary(first), boundary(second));
  size_t count = 0;
  for (size_t at = 0; (at = second.find(boundary(second), at)) != second.npos; ++at) ++count;
  EXPECT_EQ(count, 5u) << "the parameter, three parts, the end";
}

TEST(Compose, EightBitWordsInAnAsciiNoticeBecomeQuestionMarks) {
  Report report = Failure();
  report.recipients[0].diagnostic = "550 gr\xC3\xBC\xC3\x9F\xFF";
  const Notice notice = Compose(report);
  EXPECT_FALSE(notice.eight_bit);
  EXPECT_THAT(notice.content, HasSubstr("smtp; 550 gr???\r\n"));
}

TEST(Compose, AnEightBitMessageComesBackAsEightBit) {
  Report report = Failure();
  report.returned = "Subject: \xFF\r\n\r\n";
  const Notice notice = Compose(report);
  EXPECT_TRUE(notice.eight_bit);
  EXPECT_FALSE(notice.smtputf8);
  EXPECT_THAT(notice.content,
              HasSubstr("text/rfc822-headers\r\nContent-Description: The header "
                        "section of the message\r\nContent-Transfer-Encoding: 8bit"));
  EXPECT_THAT(
      notice.content,
      HasSubstr("boundary=\"" + notice.content.substr(notice.content.find("=_report_"), 17) +
                "\"\r\nContent-Transfer-Encoding: 8bit\r\n"));
}

TEST(Compose, SmtputfMailGetsTheGlobalForms) {
  Report report = Failure();
  report.smtputf8 = true;
  report.ret = Ret::kFull;
  report.sender = "\xC3\xA9@example.net";
  report.recipients[0].address = "\xC3\xBC@example.org";
  report.recipients[0].orcpt = "utf-8;\xC3\xBC@example.org";
  report.returned = "Subject: \xC3\xA9\r\n\r\nx\r\n";
  const Notice notice = Compose(report);
  EXPECT_TRUE(notice.smtputf8);
  EXPECT_TRUE(notice.eight_bit);
  EXPECT_THAT(notice.content, HasSubstr("To: <\xC3\xA9@example.net>\r\n"));
  EXPECT_THAT(notice.content, HasSubstr("report-type=global-delivery-status;"));
  EXPECT_THAT(notice.content, HasSubstr("Content-Type: message/global-delivery-status\r\n"));
  EXPECT_THAT(notice.content, HasSubstr("Final-Recipient: utf-8;\xC3\xBC@example.org\r\n"));
  EXPECT_THAT(notice.content, HasSubstr("Content-Type: message/global\r\n"));
  EXPECT_THAT(notice.content, HasSubstr("charset=utf-8"));
  report.ret = Ret::kHeaders;
  EXPECT_THAT(Compose(report).content, HasSubstr("Content-Type: message/global-headers\r\n"));
}

TEST(Compose, WithoutSmtputfAUtf8AddressIsSpelledInAscii) {
  Report report = Failure();
  report.recipients[0].address = "\xC3\xBC@example.org";
  const Notice notice = Compose(report);
  EXPECT_FALSE(notice.smtputf8);
  EXPECT_FALSE(notice.eight_bit);
  EXPECT_THAT(notice.content, HasSubstr("Content-Type: message/delivery-status\r\n"));
  EXPECT_THAT(notice.content, HasSubstr("Final-Recipient: utf-8;\\x{FC}@example.org\r\n"));
}

TEST(Compose, ServersKnownByAddressAreLiterals) {
  Report report = Failure();
  report.recipients[0].remote = "192.0.2.1";
  EXPECT_THAT(Compose(report).content, HasSubstr("Remote-MTA: dns; [192.0.2.1]\r\n"));
  report.recipients[0].remote = "2001:db8::1";
  EXPECT_THAT(Compose(report).content, HasSubstr("Remote-MTA: dns; [IPv6:2001:db8::1]\r\n"));
}

TEST(Compose, NothingForeignBeginsALineAFieldOrAPart) {
  const std::string evil = "x\r\nBcc: v@example.org\r\n\r\n--=_report_\nAction: delivered\r.\r\n" +
                           std::string(3000, 'y') + std::string(1, '\0') + "\xFF\xE2\x80\xA8";
  for (const bool smtputf8 : {false, true}) {
    Report report = Failure();
    report.smtputf8 = smtputf8;
    report.host = report.notice_id = report.sender = report.envid = evil;
    report.recipients[0] = {.address = evil,
                            .orcpt = "rfc822;" + evil,
                            .status = evil,
                            .remote = evil,
                            .diagnostic = evil,
                            .remote_words = true};
    report.returned = evil;
    const std::string content = Compose(report).content;
    EXPECT_THAT(content, Not(HasSubstr("\r\nAction: delivered")));
    EXPECT_THAT(content.substr(0, content.find("\r\n\r\n")), Not(HasSubstr("\r\nBcc:")));
    EXPECT_EQ(content.find('\0'), content.npos);
    for (size_t begin = 0, end; begin < content.size(); begin = end + 2) {
      end = content.find("\r\n", begin);
      ASSERT_NE(end, content.npos);
      const std::string_view line = std::string_view(content).substr(begin, end - begin);
      EXPECT_LE(line.size(), kMaxLineOctets);
      EXPECT_EQ(line.find_first_of("\r\n"), line.npos);
    }
  }
}

TEST(Compose, NamesNoProduct) {
  EXPECT_THAT(Compose(Failure()).content, Not(testing::ContainsRegex("[Pp]ostern|POSTERN")));
}

}  // namespace
}  // namespace postern::bounced
