#include "daemons/locald/recipients.h"

#include <gtest/gtest.h>

namespace postern::locald {
namespace {

config::Settings Settings(std::string postmaster = {}, std::string delimiter = "+") {
  config::Settings settings;
  settings.domains = {"example.org"};
  settings.local.recipient_delimiter = std::move(delimiter);
  settings.local.postmaster = std::move(postmaster);
  return settings;
}

std::vector<protocol::control::Account> Accounts(const std::vector<std::string>& names) {
  std::vector<protocol::control::Account> accounts;
  for (const std::string& name : names)
    accounts.push_back({.name = name, .uid = 1000, .gid = 1000, .home = {}, .mailbox = {}});
  return accounts;
}

std::string Print(const Destination& destination) {
  switch (destination.match) {
    case Match::kAccount:
      return destination.account;
    case Match::kUnknown:
      return "-";
    case Match::kNobody:
      return "nobody";
  }
  return "";
}

TEST(AccountTable, AddressesNameAccounts) {
  const AccountTable table(Settings("bob"), Accounts({"Alice", "bob", "c+d", "alice"}));
  const struct {
    const char* address;
    const char* account;
  } rows[] = {
      {"alice@example.org", "Alice"},  // the first of two that differ in case only
      {"ALICE+x@example.org", "Alice"},
      {"alice+@example.org", "Alice"},
      {"alice+x+y@example.org", "Alice"},
      {"\"alice\"@example.org", "Alice"},
      {"\"ali\\ce\"@example.org", "Alice"},
      {"c+d@example.org", "c+d"},  // the delimiter is part of its name
      {"postmaster", "bob"},
      {"Postmaster@example.org", "bob"},
      {"postmaster+x@example.org", "-"},
      {"+alice@example.org", "-"},
      {"nobody@example.org", "-"},
      {"alice%x@example.org", "-"},
      {"@example.org", "-"},
      {"", "-"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(Print(table.Find(row.address)), row.account) << row.address;
}

TEST(AccountTable, WithoutADelimiterNothingIsCutOff) {
  const AccountTable table(Settings("", ""), Accounts({"alice"}));
  EXPECT_EQ(Print(table.Find("alice@example.org")), "alice");
  EXPECT_EQ(Print(table.Find("alice+x@example.org")), "-");
}

TEST(AccountTable, PostmasterIsWhoeverTheConfigurationNames) {
  const std::vector<std::string> none;
  const struct {
    const char* what;
    std::string setting;
    std::vector<std::string> users;
    std::vector<std::string> accounts;
    const char* account;
  } rows[] = {
      {"an account", "bob", {"alice", "bob"}, {"alice", "bob"}, "bob"},
      {"an address here", "bob+pm@example.org", {"alice", "bob"}, {"alice", "bob"}, "bob"},
      {"an account that is gone", "carol", {"alice"}, {"alice"}, "nobody"},
      {"the setting beats the account", "bob", {"*"}, {"postmaster", "bob"}, "bob"},
      {"the account of that name",
       "",
       {"alice", "postmaster"},
       {"alice", "postmaster"},
       "postmaster"},
      {"found by *", "", {"*"}, {"alice", "postmaster"}, "postmaster"},
      {"the first user", "", {"alice", "bob"}, {"alice", "bob"}, "alice"},
      {"the first user named", "", {"*", "bob"}, {"alice", "bob"}, "bob"},
      {"the lowest uid", "", {"*"}, {"alice", "bob"}, "alice"},
      {"nobody at all", "", none, none, "nobody"},
  };
  for (const auto& row : rows) {
    config::Settings settings = Settings(row.setting);
    settings.local.users = row.users;
    const AccountTable table(settings, Accounts(row.accounts));
    EXPECT_EQ(Print(table.Find("postmaster")), row.account) << row.what;
    EXPECT_EQ(Print(table.Find("POSTMASTER@example.org")), row.account) << row.what;
  }
}

}  // namespace
}  // namespace postern::locald
