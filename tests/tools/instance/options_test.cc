#include "tools/instance/options.h"

#include <gtest/gtest.h>

#include "common/config/parse.h"
#include "common/config/render.h"

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

}  // namespace
}  // namespace postern
