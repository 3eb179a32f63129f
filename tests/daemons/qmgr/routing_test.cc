#include "daemons/qmgr/routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemons/qmgr/rig.h"

namespace postern::qmgr {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

config::NextHop HopTo(std::string host, uint16_t port,
                      config::HopProtocol protocol = config::HopProtocol::kSmtp) {
  config::NextHop hop;
  hop.protocol = protocol;
  hop.host.host = std::move(host);
  hop.host.port = port;
  return hop;
}

TEST(DomainOf, IsWhatRoutesAndDnsKnow) {
  const struct {
    const char* address;
    const char* domain;
  } rows[] = {
      {"a@Example.NET", "example.net"},
      {"\"a@b\"@example.net", "example.net"},
      {"postmaster", ""},
      {"a@[192.0.2.1]", "[192.0.2.1]"},
      {"a@[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"},
      {"a@b\xc3\xbc"
       "cher.example",
       "xn--bcher-kva.example"},
      {"a@", ""},
  };
  for (const auto& row : rows) EXPECT_EQ(DomainOf(row.address), row.domain) << row.address;
}

TEST(HopFor, LocalUsersHaveAWindowEachAndRemoteDomainsOne) {
  const config::Settings settings = TestSettings();
  const Hop local = HopFor("Alice@example.org", protocol::RecipientClass::kLocal, settings);
  EXPECT_EQ(local.route, Route::kLocal);
  EXPECT_EQ(local.destination, "alice");
  const Hop remote = HopFor("bob@Example.NET", protocol::RecipientClass::kRemote, settings);
  EXPECT_EQ(remote.route, Route::kRemote);
  EXPECT_EQ(remote.destination, "example.net");
}

TEST(HopFor, TakesTheNearestRouteThenTheSmartHost) {
  config::Settings settings = TestSettings();
  settings.outbound.routes["example.net"] = HopTo("exact", 25);
  settings.outbound.routes[".example.net"] = HopTo("below", 25);
  settings.outbound.routes[".b.example.net"] = HopTo("nearer", 25);
  settings.outbound.smarthost = HopTo("smart", 587);
  const struct {
    const char* address;
    const char* destination;
  } rows[] = {
      {"a@example.net", "exact"},   {"a@x.example.net", "below"}, {"a@x.b.example.net", "nearer"},
      {"a@b.example.net", "below"}, {"a@other.example", "smart"}, {"a@notexample.net", "smart"},
  };
  for (const auto& row : rows) {
    const Hop hop = HopFor(row.address, protocol::RecipientClass::kRelay, settings);
    EXPECT_NE(hop.destination.find(row.destination), std::string::npos)
        << row.address << " goes to " << hop.destination;
  }
}

TEST(FillNextHop, NamesTheHostOrTheSocketOrNeither) {
  config::Settings settings = TestSettings();
  settings.outbound.routes["lmtp.example"] = HopTo("127.0.0.1", 24, config::HopProtocol::kLmtp);
  config::NextHop socket;
  socket.protocol = config::HopProtocol::kLmtp;
  socket.socket_path = "/run/lmtp";
  settings.outbound.routes["socket.example"] = socket;
  protocol::delivery::Job job;
  FillNextHop("lmtp.example", settings, job);
  EXPECT_EQ(job.transport, protocol::delivery::Transport::kLmtp);
  EXPECT_EQ(job.host, "127.0.0.1");
  EXPECT_EQ(job.port, 24);
  protocol::delivery::Job by_socket;
  FillNextHop("socket.example", settings, by_socket);
  EXPECT_EQ(by_socket.socket_path, "/run/lmtp");
  protocol::delivery::Job by_mx;
  FillNextHop("mx.example", settings, by_mx);
  EXPECT_EQ(by_mx.domain, "mx.example");
  EXPECT_EQ(by_mx.transport, protocol::delivery::Transport::kSmtp);
  EXPECT_EQ(by_mx.host, "");
}

TEST(GroupByHop, LeavesOutWhoIsDoneAndKeepsTheOrder) {
  std::vector<RecipientRecord> recipients;
  for (const char* one : {"a@x.example", "b@y.example", "c@X.example", "alice@example.org",
                          "d@y.example", "ALICE@example.org"})
    recipients.push_back(RecipientTo(one));
  DoneSet done;
  done.Resize(recipients.size());
  done.Add(1);
  const std::vector<UnitSpec> units = GroupByHop(recipients, done, TestSettings());
  ASSERT_THAT(units, SizeIs(3));
  EXPECT_EQ(units[0].destination, "x.example");
  EXPECT_THAT(units[0].recipients, ElementsAre(0, 2));
  EXPECT_EQ(units[1].route, Route::kLocal);
  EXPECT_THAT(units[1].recipients, ElementsAre(3, 5));
  EXPECT_THAT(units[2].recipients, ElementsAre(4));
}

// A local user and a domain of the same name are two destinations; and so at every number of them,
// whether the table is in use or not.
TEST(GroupByHop, IsTheSameForFewAndForMany) {
  for (const size_t hops : {1u, 2u, 7u, 8u, 9u, 10u, 100u, 3000u}) {
    std::vector<RecipientRecord> recipients;
    for (int round = 0; round < 2; ++round) {
      for (size_t i = 0; i < hops; ++i) {
        recipients.push_back(RecipientTo("u@d" + std::to_string(i)));
        recipients.push_back(RecipientTo("d" + std::to_string(i) + "@example.org"));
      }
    }
    DoneSet done;
    done.Resize(recipients.size());
    const std::vector<UnitSpec> units = GroupByHop(recipients, done, TestSettings());
    ASSERT_EQ(units.size(), 2 * hops);
    for (size_t i = 0; i < units.size(); ++i)
      ASSERT_THAT(units[i].recipients, ElementsAre(i, i + units.size())) << hops;
  }
}

TEST(DoneSet, HoldsAnyNumber) {
  for (const size_t count : {1u, 63u, 64u, 65u, 1000u}) {
    DoneSet done;
    done.Resize(count);
    EXPECT_FALSE(done.Has(count - 1));
    done.Add(count - 1);
    EXPECT_TRUE(done.Has(count - 1));
    if (count > 1) EXPECT_FALSE(done.Has(count - 2));
  }
}

}  // namespace
}  // namespace postern::qmgr
