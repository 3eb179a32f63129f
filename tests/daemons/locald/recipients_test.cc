#include "daemons/locald/recipients.h"

#include <gtest/gtest.h>

namespace postern::locald {
namespace {

AccountTable Table(std::string postmaster, std::vector<std::string> names) {
  config::Settings settings;
  settings.local.recipient_delimiter = "+";
  settings.local.postmaster = std::move(postmaster);
  std::vector<protocol::control::Account> accounts;
  for (std::string& name : names)
    accounts.push_back({.name = name, .uid = 1000, .gid = 1000, .home = {}, .mailbox = {}});
  return AccountTable(settings, accounts);
}

TEST(AccountTable, AddressesNameAccounts) {
  const AccountTable table = Table("bob", {"Alice", "bob", "c+d"});
  EXPECT_EQ(table.AccountFor("alice@example.org"), "Alice");
  EXPECT_EQ(table.AccountFor("ALICE+x@example.org"), "Alice");
  EXPECT_EQ(table.AccountFor("\"alice\"@example.org"), "Alice");
  EXPECT_EQ(table.AccountFor("c+d@example.org"), "c+d")
      << "an account with the delimiter in its name";
  EXPECT_EQ(table.AccountFor("postmaster"), "bob");
  EXPECT_EQ(table.AccountFor("Postmaster@example.org"), "bob");
  EXPECT_EQ(table.AccountFor("+alice@example.org"), "");
  EXPECT_EQ(table.AccountFor("nobody@example.org"), "");
  EXPECT_EQ(table.AccountFor("alice%x@example.org"), "");
}

TEST(AccountTable, PostmasterIsSomebodyWhereverThereIsAnAccount) {
  EXPECT_EQ(Table("", {"alice", "postmaster"}).AccountFor("postmaster"), "postmaster");
  EXPECT_EQ(Table("", {"alice", "bob"}).AccountFor("postmaster"), "alice");
  EXPECT_EQ(Table("", {}).AccountFor("postmaster"), "");
}

}  // namespace
}  // namespace postern::locald
