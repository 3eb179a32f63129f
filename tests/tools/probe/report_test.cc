#include "tools/probe/report.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace postern::probe {
namespace {

Outcomes Sample() {
  Outcomes outcomes{.role = "qmgr", .backend = "uring", .acts = {}, .results = {}};
  const auto add = [&](const char* name, Result result) {
    outcomes.acts.push_back({.group = "files", .name = name, .attempt = {}});
    outcomes.results.push_back(result);
  };
  add("open", {.outcome = Outcome::kRefused, .error = EACCES});
  add("fork", {.outcome = Outcome::kKilled, .signal = SIGSYS});
  add("look", {.outcome = Outcome::kSucceeded, .error = ENODATA});
  add("write", {.outcome = Outcome::kAllowed});
  outcomes.acts.back().allowed = {.roles = {"qmgr"}, .reason = "its \"own\""};
  add("bind", {.outcome = Outcome::kNotToBeHad});
  outcomes.acts.back().landlock_abi = 4;
  return outcomes;
}

TEST(ProbeReport, CountsWhatWasTried) {
  const Counts counts = Count(Sample().results);
  EXPECT_EQ(counts.tried, 3u);
  EXPECT_EQ(counts.succeeded, 1u);
  EXPECT_EQ(counts.allowed, 1u);
  EXPECT_EQ(counts.not_to_be_had, 1u);
}

TEST(ProbeReport, SaysHowEachActEnded) {
  const std::string text = ToText(Sample(), Show::kAll);
  for (const char* words : {"3 acts tried, 1 succeeded", "refused, EACCES", "killed, SIGSYS",
                            "succeeded, ENODATA", "allowed: its", "needs Landlock ABI 4"})
    EXPECT_NE(text.find(words), text.npos) << words << "\n" << text;
  const std::string brief = ToText(Sample(), Show::kSucceeded);
  EXPECT_NE(brief.find("look"), brief.npos);
  EXPECT_EQ(brief.find("fork"), brief.npos);
}

TEST(ProbeReport, QuotesInJson) {
  sandbox::LayerSet without;
  without.Add(sandbox::Layer::kRing);
  const std::string json = ToJson({Sample()}, without);
  for (const char* words : {"\"without\": [\"ring\"]", "\"tried\": 3, \"succeeded\": 1",
                            "\"signal\": \"SIGSYS\"", "\"reason\": \"its \\\"own\\\"\""})
    EXPECT_NE(json.find(words), json.npos) << words << "\n" << json;
}

TEST(ProbeReport, TabulatesLayersByRole) {
  EXPECT_EQ(
      ToTable({"smtpd", "qmgr"},
              {{.layer = "ring",
                .cells = {{.without = 69, .alone = 3, .possible = true}, {.possible = false}}}}),
      "| layer | smtpd | qmgr |\n| --- | --- | --- |\n| ring | 69 / 3 | - |\n");
}

}  // namespace
}  // namespace postern::probe
