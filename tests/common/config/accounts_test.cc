#include "common/config/accounts.h"

#include <gtest/gtest.h>

namespace postern::config {
namespace {

LocalAccounts Table(const std::string& postmaster, const std::vector<std::string>& users,
                    const std::vector<LocalAccount>& accounts, const std::string& delimiter = "+") {
  Settings settings;
  settings.domains = {"example.org"};
  settings.local.postmaster = postmaster;
  settings.local.users = users;
  settings.local.recipient_delimiter = delimiter;
  return LocalAccounts(settings, accounts);
}

const std::vector<LocalAccount> kThree = {{"Alice", 1002}, {"bob", 1001}, {"c+d", 1003}};

TEST(LocalAccounts, NamesAreComparedWithoutCaseAndDetailsCutOff) {
  const LocalAccounts table = Table("bob", {"*"}, kThree);
  const struct {
    const char* local_part;
    const char* account;
  } rows[] = {
      {"alice", "Alice"},
      {"ALICE", "Alice"},
      {"alice+x", "Alice"},
      {"alice+", "Alice"},
      {"alice+x+y", "Alice"},
      {"c+d", "c+d"},
      {"C+D+e", ""},
      {"+alice", ""},
      {"carol", ""},
      {"alice-x", ""},
      {"", ""},
      {"alice%x", ""},
      {"PostMaster", "bob"},
      {"postmaster+x", ""},
  };
  for (const auto& row : rows) EXPECT_EQ(table.Find(row.local_part), row.account) << row.local_part;
}

TEST(LocalAccounts, WithoutADelimiterNothingIsCutOff) {
  const LocalAccounts table = Table("", {"*"}, kThree, "");
  EXPECT_EQ(table.Find("alice"), "Alice");
  EXPECT_EQ(table.Find("alice+x"), "");
}

TEST(LocalAccounts, PostmasterIsAlwaysARealAccountIfThereIsOne) {
  const LocalAccount own{"postmaster", 2000};
  const struct {
    const char* what;
    std::string setting;
    std::vector<std::string> users;
    std::vector<LocalAccount> accounts;
    const char* account;
  } rows[] = {
      {"an account", "bob", {"Alice", "bob"}, kThree, "bob"},
      {"in any case", "ALICE", {"Alice", "bob"}, kThree, "Alice"},
      {"an address here", "bob+pm@example.org", {"Alice", "bob"}, kThree, "bob"},
      {"an account that is gone", "carol", {"*"}, kThree, ""},
      {"the setting beats the account", "bob", {"*"}, {own, {"bob", 3000}}, "bob"},
      {"the account of that name", "", {"Alice", "postmaster"}, {{"Alice", 1}, own}, "postmaster"},
      {"found by *", "", {"*"}, {{"Alice", 1}, own}, "postmaster"},
      {"the first user", "", {"Alice", "bob"}, kThree, "Alice"},
      {"the lowest uid of all", "", {"*"}, kThree, "bob"},
      {"nobody at all", "", {"*"}, {}, ""},
      {"no users", "", {}, {}, ""},
  };
  for (const auto& row : rows) {
    const LocalAccounts table = Table(row.setting, row.users, row.accounts);
    EXPECT_EQ(table.postmaster(), row.account) << row.what;
    EXPECT_EQ(table.Find("POSTMASTER"), row.account) << row.what;
  }
}

}  // namespace
}  // namespace postern::config
