#include "daemons/smtpc/reach.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::smtpc {
namespace {

using testing::ElementsAre;

config::NextHop Hop(uint16_t port) { return {.host = {.host = "a.example", .port = port}}; }
config::NextHop Socket() {
  return {.protocol = config::HopProtocol::kLmtp, .socket_path = "/run/lmtp"};
}

TEST(Reach, IsThePortsOfAllNextHops) {
  config::Outbound settings;
  settings.port = 25;
  EXPECT_THAT(ReachOf(settings).ports, ElementsAre(25));
  EXPECT_FALSE(ReachOf(settings).unix_sockets);
  settings.smarthost = Hop(587);
  settings.routes.emplace("b.example", Hop(24));
  settings.routes.emplace("c.example", Hop(587));
  settings.routes.emplace("d.example", Hop(0));  // outbound.port
  EXPECT_THAT(ReachOf(settings).ports, ElementsAre(24, 25, 587));
  EXPECT_FALSE(ReachOf(settings).unix_sockets);
  settings.routes.emplace("e.example", Socket());
  EXPECT_THAT(ReachOf(settings).ports, ElementsAre(24, 25, 587));
  EXPECT_TRUE(ReachOf(settings).unix_sockets);
  EXPECT_THAT(ReachOf(settings).socket_paths, ElementsAre("/run/lmtp"));
}

TEST(Reach, CoversWhatItHolds) {
  const Reach two{.ports = {25, 587}};
  EXPECT_TRUE(two.Covers({.ports = {25, 587}}));
  EXPECT_TRUE(two.Covers({.ports = {587}}));
  EXPECT_FALSE(two.Covers({.ports = {24}}));
  EXPECT_FALSE(two.Covers({.ports = {25, 587, 588}}));
  EXPECT_FALSE(two.Covers({.ports = {25}, .unix_sockets = true}));
  const Reach local{.ports = {25}, .unix_sockets = true};
  EXPECT_FALSE(local.Covers({.ports = {25}, .unix_sockets = true, .socket_paths = {"/run/lmtp"}}));
  EXPECT_TRUE(local.Covers({.ports = {25}, .unix_sockets = true}));
  EXPECT_TRUE(local.Covers({.ports = {25}}));
}

TEST(DirectoriesOf, AreThoseAboveTheSocketsOrTheNextThatExist) {
  EXPECT_THAT(DirectoriesOf({"/tmp/lmtp", "/tmp/other", "/usr/bin/../lib/lmtp"}),
              ElementsAre("/tmp", "/usr/lib"));
  EXPECT_THAT(DirectoriesOf({"/tmp/postern-has-no-such/directory/lmtp"}), ElementsAre("/tmp"));
  EXPECT_THAT(DirectoriesOf({"/lmtp", "/postern-has-no-such/lmtp"}), ElementsAre())
      << "never all there is";
}

}  // namespace
}  // namespace postern::smtpc
