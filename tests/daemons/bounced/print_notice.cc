// Prints one notice to stdout, for notice_structure.py: failure, delay, success or utf8.
#include <cstdio>
#include <string_view>

#include "daemons/bounced/compose.h"

int main(int argc, char** argv) {
  using namespace postern::bounced;
  const std::string_view which = argc > 1 ? argv[1] : "failure";
  Report report = {.host = "mx.example.net",
                   .notice_id = "14D2PF2DBSQQG",
                   .now_us = 1'795'510'652'000'000,
                   .arrival_us = 1'795'510'600'000'000,
                   .sender = "a@example.net",
                   .envid = "envelope 7",
                   .ret = Ret::kFull,
                   .returned = "From: a@example.net\r\nSubject: hello\r\n\r\nThe body.\r\n",
                   .complete = true};
  Recipient one = {.address = "b@example.org",
                   .orcpt = "rfc822;Bob@example.org",
                   .status = "5.1.1",
                   .remote = "mail.example.org",
                   .diagnostic = "550-5.1.1 no\r\n\r\nAction: delivered\r\n550 5.1.1 such user",
                   .remote_words = true,
                   .last_attempt_us = 1'795'510'652'000'000};
  if (which == "delay") {
    report.kind = Kind::kDelay;
    one.action = Action::kDelayed;
    one.status = "4.4.1";
    one.will_retry_until_us = 1'795'600'000'000'000;
  } else if (which == "success") {
    report.kind = Kind::kSuccess;
    one.action = Action::kRelayed;
    one.status = "2.0.0";
  } else if (which == "utf8") {
    report.smtputf8 = true;
    one.address = "b\xC3\xBC@example.org";
    report.returned = "Subject: \xC3\xA9\r\n\r\nThe body.\r\n";
  }
  Recipient two = one;
  two.address = "c@example.org";
  two.orcpt.clear();
  report.recipients = {one, two};
  const Notice notice = Compose(report);
  std::fwrite(notice.content.data(), 1, notice.content.size(), stdout);
  return 0;
}
