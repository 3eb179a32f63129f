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

config::Settings SettingsOf(const std::vector<std::string_view>& arguments) {
  const auto options = instance::ParseArguments(arguments);
  EXPECT_TRUE(options.has_value()) << options.error().reason;
  if (!options.has_value()) return {};
  const config::Rendered rendered =
      config::RenderToml(instance::ConfigurationOf(*options, "/srv/x"));
  config::Outcome outcome = config::Parse(rendered.toml, "/srv/x/postern.toml");
  EXPECT_TRUE(outcome.ok()) << outcome.problems.front().ToString();
  return outcome.ok() ? *std::move(outcome.settings) : config::Settings{};
}

TEST(InstanceOptions, ADirectoryIsEnough) {
  const config::Settings settings = SettingsOf({"/srv/x"});
  ASSERT_EQ(settings.smtp.listen.size(), 1u);
  EXPECT_EQ(settings.smtp.listen.front().ToString(), "127.0.0.1:2525");
  EXPECT_TRUE(settings.local.users.empty());
  EXPECT_TRUE(settings.domains.empty());
  EXPECT_TRUE(settings.relay.domains.empty());
  EXPECT_TRUE(settings.relay.networks.empty());
  EXPECT_TRUE(settings.outbound.loopback_allowed);
  EXPECT_NE(settings.dns.trust_anchor, "");
  EXPECT_TRUE(settings.run_directory.starts_with("/srv/x/"));
  EXPECT_TRUE(settings.log.file.starts_with("/srv/x/"));
  EXPECT_TRUE(settings.queue.directories.front().starts_with("/srv/x/"));
}

TEST(InstanceOptions, RepeatedOptionsAddUp) {
  const config::Settings settings = SettingsOf(
      {"/srv/x", "--domain", "a.example", "--domain", "b.example", "--user", "alice", "--user",
       "bob", "--relay", "c.example=127.0.0.1:1", "--relay", "d.example=127.0.0.1:2", "--relay-for",
       "10.0.0.0/8", "--relay-for", "::1/128", "--smarthost", "127.0.0.1:3"});
  EXPECT_EQ(settings.hostname, "mail.a.example");
  EXPECT_EQ(settings.domains, (std::vector<std::string>{"a.example", "b.example"}));
  EXPECT_EQ(settings.local.users, (std::vector<std::string>{"alice", "bob"}));
  EXPECT_EQ(settings.relay.domains, (std::vector<std::string>{"c.example", "d.example"}));
  EXPECT_EQ(settings.outbound.routes.size(), 2u);
  EXPECT_EQ(settings.relay.networks.size(), 2u);
  ASSERT_TRUE(settings.outbound.smarthost.has_value());
  EXPECT_EQ(settings.outbound.smarthost->ToString(), "smtp://127.0.0.1:3");
}

TEST(InstanceOptions, SetHasTheLastWord) {
  const config::Settings settings =
      SettingsOf({"/srv/x", "--set", "smtp.listen=127.0.0.1:2600", "--set", "hostname=h.example",
                  "--retry", "5", "--set", "queue.retry_longest=1m"});
  ASSERT_EQ(settings.smtp.listen.size(), 1u);  // not the default one beside it
  EXPECT_EQ(settings.smtp.listen.front().port, 2600);
  EXPECT_EQ(settings.hostname, "h.example");
  EXPECT_EQ(settings.queue.retry_first, absl::Seconds(5));
  EXPECT_EQ(settings.queue.retry_longest, absl::Minutes(1));
}

TEST(InstanceOptions, HelpNeedsNothingElse) {
  for (const std::vector<std::string_view>& arguments :
       {std::vector<std::string_view>{"--help"}, {"-h"}, {"d", "--help"}}) {
    const auto options = instance::ParseArguments(arguments);
    ASSERT_TRUE(options.has_value());
    EXPECT_TRUE(options->help);
  }
}

TEST(InstanceOptions, MistakesAreNamed) {
  for (const std::vector<std::string_view>& arguments : {std::vector<std::string_view>{},
                                                         {"d", "--smtp"},
                                                         {"d", "--nonsense", "x"},
                                                         {"d", "--nonsense"},
                                                         {"d", "-x"},
                                                         {"d", "--retry", ""},
                                                         {"d", "--retry", "1234567890"},
                                                         {"d", "e"},
                                                         {"d", "--retry", "soon"},
                                                         {"d", "--relay", "x"},
                                                         {"d", "--set", "x"}}) {
    EXPECT_FALSE(instance::ParseArguments(arguments).has_value());
  }
}

}  // namespace
}  // namespace postern
