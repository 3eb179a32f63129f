#include "common/config/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "common/config/changes.h"
#include "common/config/parse.h"
#include "common/config/render.h"
#include "common/config/setting.h"

namespace postern::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Committed(const std::string& name) {
  std::ifstream file(std::string(POSTERN_SOURCE_ROOT) + "/" + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

constexpr std::string_view kHead =
    "hostname = \"mail.example.org\"\ndomains = [\"example.org\", \"example.net\"]\n";

TEST(DefaultFile, IsTheCommittedOne) {
  EXPECT_EQ(Committed("conf/postern.toml"), DefaultFile()) << "see common/config/README.md";
}

TEST(DocumentationPage, IsTheCommittedOne) {
  EXPECT_EQ(Committed("docs/configuration.md"), DocumentationPage())
      << "see common/config/README.md";
}

TEST(DefaultFile, IsAGoodConfigurationOnceTheNamesAreFilledIn) {
  const Outcome outcome = Parse(std::string(kHead) + DefaultFile(), "/etc/postern/postern.toml");
  ASSERT_TRUE(outcome.ok()) << outcome.problems[0].ToString();
}

TEST(DefaultFile, ShowsTheDefaultsThatAreInForce) {
  std::string text;
  std::istringstream lines(DefaultFile());
  for (std::string line; std::getline(lines, line);) {
    // "#key = value" is a setting, "# words" are prose.
    if (line.size() > 1 && line[0] == '#' && line[1] != ' ') line.erase(0, 1);
    text += line + "\n";
  }
  const Outcome all = Parse(text, "/etc/p.toml");
  ASSERT_TRUE(all.ok()) << all.problems[0].ToString();
  const Outcome none = Parse(kHead, "/etc/p.toml");
  ASSERT_TRUE(none.ok());
  EXPECT_THAT(ChangedKeys(*all.settings, *none.settings), ElementsAre());
  for (const Setting* setting : AllSettings())
    EXPECT_THAT(text, HasSubstr("\n" + std::string(setting->name()) + " = ")) << setting->key;
}

TEST(Explain, TellsEverythingOfOneSetting) {
  EXPECT_EQ(Explain("smtp.max_hops").value_or(""),
            "smtp.max_hops\n"
            "  takes     a whole number, 1 to 1000 Received fields\n"
            "  default   50\n"
            "  change    taken by a reload\n"
            "  example   max_hops = 100\n"
            "\n"
            "  A message with more Received fields than this is going round in a loop and\n"
            "  is refused with 5.4.6. RFC 5321 section 6.3 asks for 100 or so where loops\n"
            "  are rare; real mail stays below 30.\n");
}

TEST(Explain, ShowsTheValueInForce) {
  const Outcome outcome = Parse(std::string(kHead) + "smtp.max_hops = 7", "/p");
  ASSERT_TRUE(outcome.ok());
  EXPECT_THAT(Explain("smtp.max_hops", &*outcome.settings).value_or(""),
              HasSubstr("  now       7\n"));
  EXPECT_THAT(Explain("domains", &*outcome.settings).value_or(""),
              HasSubstr("  now       [\"example.org\", \"example.net\"]\n"));
}

TEST(Explain, ListsTheKeysOfASection) {
  EXPECT_EQ(Explain("relay").value_or(""),
            "Who may send mail through this server, beyond its own domains.\n\n"
            "relay.domains\nrelay.networks\n");
  EXPECT_THAT(Explain("").value_or(""), HasSubstr("\nlog.file\n"));
}

TEST(Explain, KnowsNothingOfOtherWords) {
  EXPECT_FALSE(Explain("relay.network").has_value());
  EXPECT_FALSE(Explain("smtp.").has_value());
}

TEST(ChangedKeys, NamesWhatDiffers) {
  const Settings before = *Parse(kHead, "/p").settings;
  const Settings after =
      *Parse(std::string(kHead) +
                 "smtp.listen = [\"127.0.0.1:2525\"]\noutbound.routes = {\"a.b\" = \"h\"}\n"
                 "queue.lifetime = \"4d\"\nlog.format = \"json\"\n",
             "/p")
           .settings;
  EXPECT_THAT(ChangedKeys(before, before), ElementsAre());
  EXPECT_THAT(ChangedKeys(before, after),
              ElementsAre("smtp.listen", "outbound.routes", "queue.lifetime", "log.format"));
}

TEST(NeedsRestart, HoldsForWhatTheProcessesTookOnAtTheirStart) {
  for (const char* key : {"io", "root", "run_directory", "queue.directories",
                          "queue.segment_octets", "queue.reserve_octets", "master.uid_base"})
    EXPECT_TRUE(NeedsRestart(key)) << key;
  for (const char* key : {"smtp.listen", "smtp.socket", "smtp.workers", "smtp.max_recipients",
                          "domains", "log.level", "nothing", ""})
    EXPECT_FALSE(NeedsRestart(key)) << key;
}

TEST(RenderToml, WritesWhatParseReads) {
  const std::vector<KeyValue> pairs = {
      {"queue.retry_first", "1s"},
      {"hostname", "mail.example.org"},
      {"domains", "example.org, example.net"},
      {"smtp.max_recipients", "2"},
      {"smtp.require_helo", "no"},
      {"smtp.banner", "say \"hello\""},
      {"outbound.routes", "a.example=127.0.0.1:26"},
      {"outbound.routes", ".b.example=lmtp:/run/lmtp"},
      {"smtp.listen", "127.0.0.1:2525"},
      {"smtp.listen", "[::1]:2525"},
      {"smtp.max_recipients", "3"},
  };
  const Rendered rendered = RenderToml(pairs);
  EXPECT_THAT(rendered.problems, ElementsAre());
  EXPECT_THAT(rendered.toml, HasSubstr("[smtp]\nlisten = [\"127.0.0.1:2525\", \"[::1]:2525\"]\n"));
  const Outcome outcome = Parse(rendered.toml, "/p");
  ASSERT_TRUE(outcome.ok()) << outcome.problems[0].ToString() << rendered.toml;
  EXPECT_EQ(outcome.settings->smtp.max_recipients, 3);
  EXPECT_EQ(outcome.settings->smtp.banner, "say \"hello\"");
  EXPECT_FALSE(outcome.settings->smtp.require_helo);
  EXPECT_EQ(outcome.settings->outbound.routes.size(), 2u);
  EXPECT_EQ(outcome.settings->queue.retry_first, absl::Seconds(1));
}

TEST(RenderToml, WritesEveryExampleSoThatParseReadsIt) {
  for (const Setting* setting : AllSettings()) {
    std::vector<KeyValue> pairs = {{std::string(setting->key), std::string(setting->example)}};
    if (setting->key != "hostname") pairs.emplace_back("hostname", "mail.example.org");
    if (setting->key == "dns.trust_ad") pairs.emplace_back("dns.mode", "system");
    const Outcome outcome = Parse(RenderToml(pairs).toml, "/p");
    EXPECT_TRUE(outcome.ok()) << outcome.problems[0].ToString();
  }
}

TEST(RenderToml, AnEmptyValueEmptiesAList) {
  const Rendered rendered = RenderToml(
      std::vector<KeyValue>{{"domains", "a.example"}, {"domains", ""}, {"domains", "b.example"}});
  EXPECT_EQ(rendered.toml, "domains = [\"b.example\"]\n");
}

TEST(RenderToml, RefusesUnknownKeysByTheirNumber) {
  const Rendered rendered = RenderToml(
      std::vector<KeyValue>{{"io", "auto"}, {"smtp.max_recipient", "1"}, {"io", "\xff"}});
  ASSERT_EQ(rendered.problems.size(), 2u);
  EXPECT_EQ(rendered.problems[0].line, 2);
  EXPECT_EQ(rendered.problems[0].message,
            "there is no setting smtp.max_recipient; did you mean smtp.max_recipients?");
  EXPECT_EQ(rendered.problems[1].line, 3);
}

TEST(RenderToml, LeavesWrongTypesForParseToName) {
  const Rendered rendered = RenderToml(std::vector<KeyValue>{
      {"hostname", "a.example"}, {"smtp.workers", "two"}, {"outbound.routes", "x"}});
  EXPECT_EQ(Parse(rendered.toml, "/p").problems.size(), 2u);
}

TEST(SplitKeyValue, SplitsAtTheFirstEqualsSign) {
  EXPECT_EQ(SplitKeyValue("a.b=c=d"), KeyValue("a.b", "c=d"));
  EXPECT_EQ(SplitKeyValue("a="), KeyValue("a", ""));
  EXPECT_EQ(SplitKeyValue("a"), std::nullopt);
}

}  // namespace
}  // namespace postern::config
