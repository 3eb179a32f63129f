#include "tools/postern/text.h"

#include <gtest/gtest.h>

#include "tools/postern/story.h"

namespace postern::tool {
namespace {

namespace admin = protocol::admin;
using nlohmann::json;

constexpr int64_t kNine = 1'795'510'800'000'000;

admin::Message Deferred() {
  admin::Message message;
  message.queue_id = 1;
  message.state = admin::State::kDeferred;
  message.sender = "\"odd local\"@x";
  message.arrival_us = kNine;
  message.next_attempt_us = kNine + 60'000'000;
  message.attempts = 1;
  message.octets = 300;
  message.recipient_count = 3;
  message.recipients = {
      {.address = "a@x", .orcpt = {}, .done = true, .status = {}, .diagnostic = {}},
      {.address = "b@x",
       .orcpt = "rfc822;b@x",
       .done = false,
       .status = "4.4.1",
       .diagnostic = "mx: no\x1b answer"}};
  return message;
}

TEST(JsonText, IsTheTextItselfUnlessItIsNoUtf8) {
  EXPECT_EQ(JsonText("\"odd local\"@x\\y"), json("\"odd local\"@x\\y"));
  EXPECT_EQ(JsonText("J\xc3\xbcrgen"), json("J\xc3\xbcrgen"));
  EXPECT_EQ(JsonText("a\xff"), json("a\\xff"));
  EXPECT_EQ(json::parse(Dump(JsonText("a\n\x1b"))), json("a\n\x1b"));
}

TEST(ToJson, AMessageHasItsWholeStory) {
  const json expected = {
      {"id", "0000000000001"},
      {"state", "deferred"},
      {"sender", "\"odd local\"@x"},
      {"arrival", "2026-11-24T09:00:00Z"},
      {"octets", 300},
      {"attempts", 1},
      {"next_attempt", "2026-11-24T09:01:00Z"},
      {"hold_reason", ""},
      {"recipients_left", 3},
      {"recipients_not_listed", 2},
      {"recipients",
       {{{"address", "a@x"}, {"orcpt", ""}, {"done", true}, {"status", ""}, {"diagnostic", ""}},
        {{"address", "b@x"},
         {"orcpt", "rfc822;b@x"},
         {"done", false},
         {"status", "4.4.1"},
         {"diagnostic", "mx: no\x1b answer"}}}}};
  EXPECT_EQ(ToJson(Deferred()), expected);
  admin::Message held = Deferred();
  held.state = admin::State::kHeld;
  EXPECT_EQ(ToJson(held)["next_attempt"], json());
}

TEST(ToText, AMessageHasALineForEachRecipient) {
  EXPECT_EQ(ToText(Deferred()),
            "0000000000001  deferred  2026-11-24 09:00:00Z       300  <\\\"odd local\\\"@x>\n"
            "      tried 1 time, next at 2026-11-24 09:01:00Z\n"
            "      <a@x> done\n"
            "      <b@x>: 4.4.1 mx: no\\x1b answer\n"
            "      and 2 more\n");
}

TEST(ToText, AHeldMessageSaysWhy) {
  admin::Message message;
  message.state = admin::State::kHeld;
  message.hold_reason = "looks odd";
  message.arrival_us = kNine;
  EXPECT_EQ(ToText(message),
            "0000000000000  held      2026-11-24 09:00:00Z         0  <>\n"
            "      held: looks odd\n");
}

TEST(ToText, ADestinationSaysWhatFailed) {
  admin::Destination one;
  one.name = "x.example";
  one.window = 5;
  EXPECT_EQ(ToText(one).find("failed"), std::string::npos);
  one.failures = 2;
  one.next_attempt_us = kNine;
  one.last_error = "refused";
  EXPECT_NE(ToText(one).find("failed 2 times, next at 2026-11-24 09:00:00Z: refused\n"),
            std::string::npos);
  EXPECT_EQ(ToJson(one), (json{{"name", "x.example"},
                               {"window", 5},
                               {"in_flight", 0},
                               {"waiting", 0},
                               {"failures", 2},
                               {"next_attempt", "2026-11-24T09:00:00Z"},
                               {"last_error", "refused"}}));
}

TEST(ToJson, AProcessHasTheKeysOfPs) {
  const admin::Process one{.name = "smtpd.0",
                           .pid = 7,
                           .uid = 8,
                           .state = "ready",
                           .restarts = 0,
                           .since_us = kNine,
                           .backend = "uring",
                           .layers = "seccomp",
                           .counters = "sessions=3"};
  EXPECT_EQ(ToJson(one), (json{{"name", "smtpd.0"},
                               {"pid", 7},
                               {"uid", 8},
                               {"state", "ready"},
                               {"restarts", 0},
                               {"since", "2026-11-24T09:00:00Z"},
                               {"io", "uring"},
                               {"layers", "seccomp"},
                               {"counters", "sessions=3"}}));
  EXPECT_NE(ToText(one).find(" seccomp; sessions=3\n"), std::string::npos);
}

TEST(ToJson, AFieldOfALogLineCannotPassForTheLinesOwn) {
  StoryReader story("0SAX9BSAM3G00");
  story.TakeLine(
      "2026-11-24T09:00:00.000000Z qmgr/0[7] info message.queued id=0SAX9BSAM3G00 event=forged "
      "from=a@x");
  ASSERT_EQ(story.records().size(), 1u);
  EXPECT_EQ(ToJson(story.records()[0]), (json{{"time", "2026-11-24T09:00:00Z"},
                                              {"daemon", "qmgr"},
                                              {"pid", 7},
                                              {"severity", "info"},
                                              {"event", "message.queued"},
                                              {"id", "0SAX9BSAM3G00"},
                                              {"from", "a@x"}}));
}

TEST(ToJson, AProblemHasItsPlace) {
  EXPECT_EQ(ToJson(config::Problem{.file = "f", .line = 2, .column = 3, .message = "m"}),
            (json{{"file", "f"}, {"line", 2}, {"column", 3}, {"message", "m"}}));
}

TEST(ExplainAsJson, KnowsSettingsAndSections) {
  const json one = ExplainAsJson("smtp.max_recipients", nullptr);
  EXPECT_EQ(one["key"], "smtp.max_recipients");
  for (const char* key : {"takes", "default", "range", "help", "example"})
    EXPECT_FALSE(one[key].get<std::string>().empty()) << key;
  EXPECT_FALSE(one.contains("now"));
  config::Settings settings;
  settings.smtp.max_recipients = 12;
  EXPECT_EQ(ExplainAsJson("smtp.max_recipients", &settings)["now"], "12");
  const json section = ExplainAsJson("smtp", nullptr);
  ASSERT_TRUE(section.is_array());
  for (const json& setting : section)
    EXPECT_TRUE(setting["key"].get<std::string>().starts_with("smtp."));
  EXPECT_GT(ExplainAsJson("", nullptr).size(), section.size());
  EXPECT_TRUE(ExplainAsJson("smtp.nonsense", nullptr).is_null());
}

}  // namespace
}  // namespace postern::tool
