#include "common/dns/mx.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "common/dns/limits.h"

namespace postern::dns {
namespace {

const std::vector<std::string> kOwn = {"mail.example.org", "Relay.Example.Org"};

// "10 a, 20 b" of a plan's hosts.
std::string Text(const MxPlan& plan) {
  std::string text;
  for (const MailExchanger& one : plan.hosts) {
    if (!text.empty()) text += ", ";
    text += std::to_string(one.preference) + " " + one.host;
  }
  return text;
}

TEST(MxPlan, FollowsTheMatrix) {
  const struct {
    const char* label;
    Status lookup;
    std::vector<MailExchanger> records;
    Route route;
    const char* hosts;
  } rows[] = {
      {"one host", Status::kFound, {{10, "mx.d.example"}}, Route::kHosts, "10 mx.d.example"},
      {"lowest number first",
       Status::kFound,
       {{30, "c"}, {10, "a"}, {65535, "z"}, {20, "b"}, {0, "n"}},
       Route::kHosts,
       "0 n, 10 a, 20 b, 30 c, 65535 z"},
      {"case and the last dot do not count",
       Status::kFound,
       {{10, "MX.D.Example."}},
       Route::kHosts,
       "10 mx.d.example"},
      {"a host twice is tried once, early",
       Status::kFound,
       {{20, "A."}, {10, "a"}, {30, "b"}},
       Route::kHosts,
       "10 a, 30 b"},
      {"no MX: the domain itself", Status::kNoData, {}, Route::kHosts, "0 d.example"},
      {"found, but empty", Status::kFound, {}, Route::kHosts, "0 d.example"},
      {"null MX", Status::kFound, {{0, "."}}, Route::kNullMx, ""},
      {"null MX as another writes it", Status::kFound, {{0, ""}}, Route::kNullMx, ""},
      {"null MX with another preference", Status::kFound, {{10, "."}}, Route::kNullMx, ""},
      {"null MX beside a host means nothing",
       Status::kFound,
       {{0, "."}, {10, "a"}},
       Route::kHosts,
       "10 a"},
      {"the domain does not exist", Status::kNxDomain, {}, Route::kNoDomain, ""},
      {"SERVFAIL", Status::kTemporaryFailure, {}, Route::kTemporary, ""},
      {"we are second: the first alone",
       Status::kFound,
       {{10, "a"}, {20, "mail.example.org"}, {30, "c"}},
       Route::kHosts,
       "10 a"},
      {"those equal to us go too",
       Status::kFound,
       {{10, "a"}, {20, "b"}, {20, "MAIL.example.org."}, {20, "c"}},
       Route::kHosts,
       "10 a"},
      {"our other name, in another case",
       Status::kFound,
       {{10, "a"}, {20, "relay.example.org"}, {30, "c"}},
       Route::kHosts,
       "10 a"},
      {"we are first", Status::kFound, {{5, "mail.example.org"}, {10, "a"}}, Route::kSelfLoop, ""},
      {"only we", Status::kFound, {{5, "mail.example.org"}}, Route::kSelfLoop, ""},
      {"we twice: the better one counts",
       Status::kFound,
       {{30, "mail.example.org"}, {10, "a"}, {10, "mail.example.org"}, {5, "b"}},
       Route::kHosts,
       "5 b"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.label);
    const MxPlan plan = PlanRoute(row.lookup, "D.example.", row.records, kOwn, 1);
    EXPECT_EQ(plan.route, row.route);
    EXPECT_EQ(Text(plan), row.hosts);
    EXPECT_EQ(plan.implicit, row.records.empty() &&
                                 (row.lookup == Status::kFound || row.lookup == Status::kNoData));
  }
}

TEST(MxPlan, AnImplicitMxThatIsWeOurselvesIsALoop) {
  const MxPlan plan = PlanRoute(Status::kNoData, "relay.example.org", {}, kOwn, 1);
  EXPECT_EQ(plan.route, Route::kSelfLoop);
}

TEST(MxPlan, EqualPreferencesAreShuffledEvenlyAndStayInTheirPlace) {
  const std::vector<MailExchanger> records = {
      {5, "first"}, {10, "a"}, {10, "b"}, {10, "c"}, {20, "last"}};
  std::map<std::string, int> seen;
  constexpr int kRounds = 6000;
  for (uint64_t random = 0; random < kRounds; ++random) {
    const MxPlan plan = PlanRoute(Status::kFound, "d", records, {}, random);
    ASSERT_EQ(plan.hosts.size(), 5u);
    ASSERT_EQ(plan.hosts.front().host, "first");
    ASSERT_EQ(plan.hosts.back().host, "last");
    ++seen[Text(plan)];
  }
  ASSERT_EQ(seen.size(), 6u);
  for (const auto& [order, times] : seen) EXPECT_NEAR(times, kRounds / 6, kRounds / 30) << order;
}

TEST(MxPlan, TheSameBitsGiveTheSameOrder) {
  const std::vector<MailExchanger> records = {{10, "a"}, {10, "b"}, {10, "c"}, {10, "d"}};
  EXPECT_EQ(PlanRoute(Status::kFound, "d", records, {}, 42),
            PlanRoute(Status::kFound, "d", records, {}, 42));
}

TEST(MxPlan, HostsAreBoundedAndTheBestAreKept) {
  std::vector<MailExchanger> records;
  for (size_t i = kMaxMailExchangers + 1; i > 0; --i)
    records.push_back({static_cast<uint16_t>(i), "h" + std::to_string(i)});
  const MxPlan plan = PlanRoute(Status::kFound, "d", records, {}, 1);
  EXPECT_EQ(plan.hosts.size(), kMaxMailExchangers);
  EXPECT_EQ(plan.hosts.front().host, "h1");
  EXPECT_EQ(plan.hosts.back().host, "h" + std::to_string(kMaxMailExchangers));
}

}  // namespace
}  // namespace postern::dns
