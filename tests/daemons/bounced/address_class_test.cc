#include "daemons/bounced/address_class.h"

#include <gtest/gtest.h>

namespace postern::bounced {
namespace {

TEST(ClassOf, FollowsTheDomainAsPolicyDoes) {
  using protocol::RecipientClass;
  config::Settings settings;
  settings.domains = {"example.org", "xn--bcher-kva.example"};
  settings.relay.domains = {"relay.example", ".sub.example", "example.org"};
  const struct {
    const char* address;
    RecipientClass kind;
  } rows[] = {
      {"a@example.org", RecipientClass::kLocal},  // local beats relay
      {"a@EXAMPLE.org", RecipientClass::kLocal},
      {"\"a@example.net\"@example.org", RecipientClass::kLocal},
      {"a@b\xc3\xbc"
       "cher.example",
       RecipientClass::kLocal},
      {"postmaster", RecipientClass::kLocal},
      {"a@relay.example", RecipientClass::kRelay},
      {"a@x.relay.example", RecipientClass::kRemote},
      {"a@x.sub.example", RecipientClass::kRelay},
      {"a@y.x.sub.example", RecipientClass::kRelay},
      {"a@sub.example", RecipientClass::kRemote},
      {"a@example.net", RecipientClass::kRemote},
      {"a@[192.0.2.1]", RecipientClass::kRemote},
      {"a@", RecipientClass::kRemote},
  };
  for (const auto& row : rows) EXPECT_EQ(ClassOf(row.address, settings), row.kind) << row.address;
}

}  // namespace
}  // namespace postern::bounced
