#include <gtest/gtest.h>

#include "common/config/parse.h"
#include "common/config/render.h"
#include "tools/instance/options.h"
#include "tools/postern/story.h"
#include "tools/sendmail/message.h"

namespace postern {
namespace {

TEST(InstanceOptions, BecomeAConfigurationThatParses) {
  const auto options = instance::ParseArguments({"/srv/x",         "--smtp",
                                                 "127.0.0.1:2501", "--smtp",
                                                 "[::1]:2502",     "--domain=example.org",
                                                 "--user",         "alice",
                                                 "--relay",        "example.net=127.0.0.1:2503",
                                                 "--relay-for",    "127.0.0.0/8",
                                                 "--dns",          "127.0.0.1:53",
                                                 "--retry",        "3",
                                                 "--io",           "epoll",
                                                 "--set",          "smtp.max_recipients=2"});
  ASSERT_TRUE(options.has_value()) << options.error().reason;
  const config::Rendered rendered =
      config::RenderToml(instance::ConfigurationOf(*options, "/srv/x"));
  ASSERT_TRUE(rendered.problems.empty()) << rendered.problems.front().ToString();
  const config::Outcome outcome = config::Parse(rendered.toml, "/srv/x/postern.toml");
  ASSERT_TRUE(outcome.ok()) << outcome.problems.front().ToString();
  const config::Settings& settings = *outcome.settings;
  EXPECT_EQ(settings.root, "/srv/x");
  EXPECT_EQ(settings.smtp.listen.size(), 2u);
  EXPECT_EQ(settings.smtp.max_recipients, 2);
  EXPECT_EQ(settings.local.mailbox, "/srv/x/mail/{user}");
  EXPECT_EQ(settings.queue.retry_first, absl::Seconds(3));
  EXPECT_EQ(settings.queue.retry_longest, absl::Seconds(3));
  EXPECT_EQ(settings.relay.domains, std::vector<std::string>{"example.net"});
  EXPECT_TRUE(settings.outbound.routes.contains("example.net"));
  EXPECT_EQ(settings.dns.servers.size(), 1u);
  EXPECT_EQ(settings.dns.trust_anchor, "");  // the root's key is not for a server of one's own
}

TEST(InstanceOptions, MistakesAreNamed) {
  for (const std::vector<std::string_view>& arguments : {std::vector<std::string_view>{},
                                                         {"d", "--smtp"},
                                                         {"d", "--nonsense", "x"},
                                                         {"d", "e"},
                                                         {"d", "--retry", "soon"},
                                                         {"d", "--relay", "x"},
                                                         {"d", "--set", "x"}}) {
    EXPECT_FALSE(instance::ParseArguments(arguments).has_value());
  }
}

TEST(Story, IsToldOfOneMessageInOrder) {
  const std::string log =
      "2026-11-24T09:00:00.000000Z qmgr/0[7] info message.queued id=0SAX9BSAM3G00 "
      "from=a@example.org size=10 recipients=1 client=192.0.2.1\n"
      "2026-11-24T09:00:00.500000Z qmgr/0[7] info message.queued id=0SAX9BSAM3G01 "
      "from=b@example.org size=10 recipients=1 client=192.0.2.1\n"
      "not a line of ours 0SAX9BSAM3G00\n"
      "2026-11-24T09:00:01.000000Z smtpc/0[8] info message.relayed id=0SAX9BSAM3G00 "
      "to=c@example.net remote=mx status=2.0.0 reply=\"250 ok\"\n";
  const std::vector<log::Record> records = tool::RecordsOf(log, "0SAX9BSAM3G00");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(tool::Sentence(records[0]),
            "2026-11-24 09:00:00Z  qmgr: accepted from <a@example.org>, sent by 192.0.2.1 (10 "
            "octets, 1 recipients)");
  EXPECT_EQ(tool::Sentence(records[1]),
            "2026-11-24 09:00:01Z  smtpc: taken by mx for <c@example.net>: 250 ok");
}

TEST(Sendmail, AddressesAreTakenOutOfFieldsAsPeopleWriteThem) {
  const struct {
    const char* field;
    std::vector<std::string> addresses;
  } rows[] = {
      {" a@x", {"a@x"}},
      {" A <a@x>, b@y (who, me)", {"a@x", "b@y"}},
      {" \"Last, First\" <a@x>,\r\n\tb@y", {"a@x", "b@y"}},
      {" friends: a@x, B <b@y>;", {"a@x", "b@y"}},
      {" undisclosed-recipients:;", {}},
      {" \"odd local\"@x", {"\"oddlocal\"@x"}},
      {" ", {}},
  };
  for (const auto& row : rows)
    EXPECT_EQ(sendmail::AddressesOf(row.field), row.addresses) << row.field;
}

TEST(Sendmail, CompletesTheHeaderAndHidesBcc) {
  sendmail::Options options;
  options.take_recipients = true;
  const sendmail::Prepared mail =
      sendmail::Prepare("To: a@x\nBcc: b@y\nSubject: s\n\nbody\n.\nafter\n", options, "me@host",
                        1795510800, "unique@host");
  EXPECT_EQ(mail.recipients, (std::vector<std::string>{"a@x", "b@y"}));
  EXPECT_EQ(mail.content,
            "To: a@x\r\nSubject: s\r\nFrom: me@host\r\nDate: Tue, 24 Nov 2026 09:00:00 "
            "+0000\r\nMessage-ID: <unique@host>\r\n\r\nbody\r\n");
  options.dots_are_text = true;
  EXPECT_NE(sendmail::Prepare("a\n.\nb\n", options, "me@host", 0, "u").content.find(".\r\nb"),
            std::string::npos);
}

TEST(Sendmail, UnderstandsItsManyLetters) {
  std::string problem;
  const sendmail::Options options = sendmail::ParseArguments(
      "sendmail", {"-t", "-oi", "-fme@x", "-F", "Me Myself", "-O", "Foo=bar", "--", "-odd@x"},
      problem);
  EXPECT_EQ(problem, "");
  EXPECT_TRUE(options.take_recipients && options.dots_are_text);
  EXPECT_EQ(options.sender, "me@x");
  EXPECT_EQ(options.full_name, "Me Myself");
  EXPECT_EQ(options.recipients, std::vector<std::string>{"-odd@x"});
  EXPECT_EQ(sendmail::ParseArguments("mailq", {}, problem).mode, sendmail::Options::Mode::kList);
  sendmail::ParseArguments("sendmail", {"-f"}, problem);
  EXPECT_NE(problem, "");
}

}  // namespace
}  // namespace postern
