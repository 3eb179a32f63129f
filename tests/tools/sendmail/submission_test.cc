#include "tools/sendmail/submission.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <thread>

#include "common/base/unique_fd.h"
#include "tools/sendmail/addresses.h"

namespace postern::sendmail {
namespace {

// A server that sends its replies one after the other, each after a command (or, behind 354, a
// message), and closes.
class Server {
 public:
  explicit Server(std::vector<std::string> replies) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    client_ = UniqueFd(fds[0]);
    thread_ = std::thread([this, fd = fds[1], answers = std::move(replies)] {
      const UniqueFd own(fd);
      for (const std::string& answer : answers) {
        const bool in_data = &answer != answers.data() && (&answer)[-1].starts_with("354");
        if (&answer != answers.data() && !ReadUntil(own.get(), in_data ? "\r\n.\r\n" : "\r\n"))
          return;
        if (::send(own.get(), answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
      }
    });
  }
  ~Server() {
    client_ = UniqueFd();
    if (thread_.joinable()) thread_.join();
  }
  int fd() const { return client_.get(); }
  // What the client said.
  std::string Heard() {
    client_ = UniqueFd();
    thread_.join();
    return heard_;
  }

 private:
  bool ReadUntil(int fd, const std::string& end) {
    for (std::string part;;) {
      char c;
      if (::read(fd, &c, 1) != 1) return false;
      heard_ += c;
      part += c;
      if (part.ends_with(end)) return true;
    }
  }

  UniqueFd client_;
  std::string heard_;
  std::thread thread_;
};

constexpr char kEhlo[] = "250-h\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n";
constexpr char kOk[] = "250 2.0.0 ok\r\n";

Mail To(const std::vector<std::string>& recipients) {
  Mail mail;
  mail.sender = *smtp::ParseReversePath("me@x.example", smtp::Utf8::kAllowed);
  for (const std::string& one : recipients) mail.recipients.push_back(*PathOf(one, "x.example"));
  mail.content = "A: b\r\n\r\n.dot\r\n";
  return mail;
}

TEST(Submit, SpeaksAsTheServerOffers) {
  Server server({"220 h\r\n", kEhlo, kOk, kOk, "354 go\r\n", "250 2.0.0 queued as X\r\n",
                 "221 2.0.0 bye\r\n"});
  Mail mail = To({"\xc3\xbc@y.example"});
  mail.has_8bit = true;
  mail.notify = "NEVER";
  mail.envid = "a+b";
  mail.ret = "HDRS";
  const Outcome outcome = Submit(server.fd(), "host.example", mail);
  EXPECT_EQ(outcome.status, EX_OK);
  EXPECT_EQ(outcome.accepted, "250 2.0.0 queued as X");
  EXPECT_EQ(server.Heard(),
            "EHLO host.example\r\n"
            "MAIL FROM:<me@x.example> SIZE=14 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb\r\n"
            "RCPT TO:<\xc3\xbc@y.example> NOTIFY=NEVER\r\n"
            "DATA\r\nA: b\r\n\r\n..dot\r\n.\r\nQUIT\r\n");
}

TEST(Submit, AsksNothingTheServerDoesNotOffer) {
  Server server({"220 h\r\n", "250 h\r\n", kOk, kOk, "354 go\r\n", kOk, "221 bye\r\n"});
  Mail mail = To({"a@y.example"});
  mail.has_8bit = true;
  mail.notify = "NEVER";
  EXPECT_EQ(Submit(server.fd(), "h", mail).status, EX_OK);
  EXPECT_NE(server.Heard().find("MAIL FROM:<me@x.example>\r\nRCPT TO:<a@y.example>\r\n"),
            std::string::npos);
}

TEST(Submit, UnknownAddressesAreToldAndTheOthersGetTheMessage) {
  Server server({"220 h\r\n", kEhlo, kOk, "450 4.2.1 busy\r\n", "550 5.1.1 unknown\r\n", kOk,
                 "354 go\r\n", kOk, "221 bye\r\n"});
  const Outcome outcome =
      Submit(server.fd(), "h", To({"a@y.example", "b@y.example", "c@y.example"}));
  EXPECT_EQ(outcome.status, EX_NOUSER);
  EXPECT_EQ(outcome.problems.size(), 2u);
  EXPECT_NE(outcome.accepted, "");
}

TEST(Submit, RecipientsBeyondTheServersLimitGetATransactionOfTheirOwn) {
  const std::string full = "452 4.5.3 too many recipients\r\n";
  Server server({"220 h\r\n", kEhlo, kOk, kOk, full, full, "354 go\r\n", kOk, kOk, kOk, kOk,
                 "354 go\r\n", "250 2.0.0 again\r\n", "221 bye\r\n"});
  const Outcome outcome = Submit(server.fd(), "me.example", To({"a", "b", "c"}));
  EXPECT_EQ(outcome.status, EX_OK);
  EXPECT_EQ(outcome.problems, std::vector<std::string>{});
  EXPECT_EQ(outcome.accepted, "250 2.0.0 ok; 250 2.0.0 again");
  const std::string heard = server.Heard();
  EXPECT_NE(heard.find("RCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\nDATA\r\n"), heard.npos);
  EXPECT_NE(heard.find("MAIL FROM:<me@x.example> SIZE=14\r\nRCPT TO:<b@x.example>\r\n"
                       "RCPT TO:<c@x.example>\r\nDATA\r\n"),
            heard.npos)
      << heard;
}

TEST(Submit, AServerThatHasRoomForNobodyIsNotAskedForEver) {
  Server server({"220 h\r\n", kEhlo, kOk, "452 4.3.1 disk full\r\n", "452 4.3.1 disk full\r\n"});
  const Outcome outcome = Submit(server.fd(), "me.example", To({"a", "b"}));
  EXPECT_EQ(outcome.status, EX_TEMPFAIL);
  EXPECT_EQ(outcome.problems.size(), 2u);
}

TEST(Submit, EachRefusalHasItsStatus) {
  const struct {
    const char* what;
    std::vector<std::string> replies;
    int status;
  } rows[] = {
      {"gone at once", {}, EX_TEMPFAIL},
      {"busy", {"421 4.3.2 later\r\n"}, EX_TEMPFAIL},
      {"nonsense", {"hello\r\n"}, EX_TEMPFAIL},
      {"no service", {"554 5.3.2 no\r\n"}, EX_UNAVAILABLE},
      {"sender refused", {"220 h\r\n", kEhlo, "550 5.1.8 no such sender\r\n"}, EX_DATAERR},
      {"too large", {"220 h\r\n", kEhlo, "552 5.3.4 too large\r\n"}, EX_UNAVAILABLE},
      {"nobody known", {"220 h\r\n", kEhlo, kOk, "550 5.1.1 unknown\r\n"}, EX_NOUSER},
      {"relaying", {"220 h\r\n", kEhlo, kOk, "550 5.7.1 no relaying\r\n"}, EX_UNAVAILABLE},
      {"queue full", {"220 h\r\n", kEhlo, kOk, kOk, "452 4.3.1 full\r\n"}, EX_TEMPFAIL},
      {"gone before its word", {"220 h\r\n", kEhlo, kOk, kOk, "354 go\r\n"}, EX_TEMPFAIL},
      {"content refused",
       {"220 h\r\n", kEhlo, kOk, kOk, "354 go\r\n", "554 5.6.0 no\r\n"},
       EX_UNAVAILABLE},
  };
  for (const auto& row : rows) {
    Server server(row.replies);
    const Outcome outcome = Submit(server.fd(), "h", To({"a@y.example"}));
    EXPECT_EQ(outcome.status, row.status) << row.what;
    EXPECT_EQ(outcome.problems.size(), 1u) << row.what;
    EXPECT_EQ(outcome.accepted, "") << row.what;
  }
}

TEST(Submit, Utf8AddressesNeedAServerThatTakesThem) {
  Server server({"220 h\r\n", "250 h\r\n"});
  EXPECT_EQ(Submit(server.fd(), "h", To({"\xc3\xbc@y.example"})).status, EX_UNAVAILABLE);
}

TEST(PassThrough, EndsWithTheServersLastWord) {
  Server server({"220 h\r\n", "250 h\r\n", "221 bye\r\n"});
  int in[2];
  int out[2];
  ASSERT_EQ(::pipe(in), 0);
  ASSERT_EQ(::pipe(out), 0);
  const std::string said = "EHLO me\r\nQUIT\r\n";
  ASSERT_EQ(::write(in[1], said.data(), said.size()), static_cast<ssize_t>(said.size()));
  ::close(in[1]);  // a program that writes all and hears afterwards
  EXPECT_EQ(PassThrough(in[0], out[1], server.fd()), EX_OK);
  char buffer[256];
  const ssize_t got = ::read(out[0], buffer, sizeof buffer);
  EXPECT_EQ(std::string(buffer, static_cast<size_t>(std::max<ssize_t>(got, 0))),
            "220 h\r\n250 h\r\n221 bye\r\n");
  for (const int fd : {in[0], out[0], out[1]}) ::close(fd);
  EXPECT_EQ(server.Heard(), said);
}

}  // namespace
}  // namespace postern::sendmail
