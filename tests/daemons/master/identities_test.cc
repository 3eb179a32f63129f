#include "daemons/master/identities.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/daemons/master/scratch.h"

namespace postern::master {
namespace {

TEST(MailboxPath, FillsInUserAndHome) {
  EXPECT_EQ(MailboxPath("/mail/{user}", "alice", "/home/alice"), "/mail/alice");
  EXPECT_EQ(MailboxPath("{home}/Maildir", "alice", "/home/alice"), "/home/alice/Maildir");
  EXPECT_EQ(MailboxPath("/m/{user}/{user}", "{home}", "/h"), "/m//h//h")
      << "each place is filled once, user first";
}

TEST(IsAccountName, TakesPathComponentsOnly) {
  for (const char* good : {"a", "alice", "a.b", "a-b_c", "Alice9"})
    EXPECT_TRUE(IsAccountName(good)) << good;
  for (const char* bad : {"", ".", "..", ".hidden", "-x", "a/b", "a b", "a\n", "a\xc3\xbc"})
    EXPECT_FALSE(IsAccountName(bad)) << bad;
  EXPECT_TRUE(IsAccountName(std::string(32, 'a')));
  EXPECT_FALSE(IsAccountName(std::string(33, 'a')));
}

TEST(IdentityOf, AnInstanceOfRootTakesNumbersAndAsksForNoUser) {
  config::Settings settings;
  settings.root = "/somewhere";
  settings.master.uid_base = 70000;
  const auto identity = IdentityOf(protocol::control::Role::kSmtpd, settings);
  ASSERT_TRUE(identity.ok());
  if (::geteuid() != 0) {
    EXPECT_FALSE(identity->drop) << "without root everything runs as its user";
    return;
  }
  EXPECT_TRUE(identity->drop);
  EXPECT_EQ(identity->uid, 70000u + static_cast<uid_t>(protocol::control::Role::kSmtpd));
}

TEST(Accounts, OfAnInstanceHaveUidsOfTheirOwn) {
  config::Settings settings;
  settings.root = "/somewhere";
  settings.local.users = {"alice", "bob"};
  settings.local.mailbox = "/somewhere/mail/{user}";
  const auto accounts = Accounts(settings);
  ASSERT_TRUE(accounts.ok()) << accounts.status();
  ASSERT_EQ(accounts->size(), 2u);
  EXPECT_EQ((*accounts)[1].mailbox, "/somewhere/mail/bob");
  if (::geteuid() == 0) {
    EXPECT_NE((*accounts)[0].uid, (*accounts)[1].uid);
  }
  settings.local.users = {"../etc"};
  EXPECT_FALSE(Accounts(settings).ok());
}

// The number that `name` gets, with all users of the settings.
uid_t NumberOf(const config::Settings& settings, const std::string& name) {
  const std::vector<protocol::control::Account> accounts = *Accounts(settings);
  for (const auto& account : accounts)
    if (account.name == name) return account.uid;
  return 0;
}

TEST(Accounts, KeepTheNumbersTheirMailboxesHave) {
  if (::geteuid() != 0) GTEST_SKIP() << "without root all are one user";
  const test::ScratchDirectory scratch;
  config::Settings settings;
  settings.root = scratch.path();
  settings.master.uid_base = 70000;
  settings.local.mailbox = scratch / "mail/{user}";
  settings.local.users = {"alice", "bob"};
  const std::vector<protocol::control::Account> accounts = *Accounts(settings);
  for (const auto& account : accounts) {
    std::filesystem::create_directories(account.mailbox);
    ASSERT_EQ(::chown(account.mailbox.c_str(), account.uid, account.gid), 0);
  }
  const uid_t alice = NumberOf(settings, "alice");
  const uid_t bob = NumberOf(settings, "bob");
  ASSERT_NE(alice, bob);
  settings.local.users = {"carol", "bob"};
  EXPECT_EQ(NumberOf(settings, "bob"), bob);
  EXPECT_NE(NumberOf(settings, "carol"), bob);
  EXPECT_NE(NumberOf(settings, "carol"), alice) << "whose mailbox is still there";
  settings.local.users = {"bob", "alice"};
  EXPECT_EQ(NumberOf(settings, "alice"), alice);
}

TEST(Accounts, OfTwoMailboxesOfOneOwnerOnlyOneKeepsTheNumber) {
  if (::geteuid() != 0) GTEST_SKIP() << "without root all are one user";
  const test::ScratchDirectory scratch;
  config::Settings settings;
  settings.root = scratch.path();
  settings.master.uid_base = 70000;
  settings.local.mailbox = scratch / "mail/{user}";
  settings.local.users = {"alice", "bob"};
  for (const char* name : {"mail/alice", "mail/bob"}) {
    std::filesystem::create_directories(scratch / name);
    ASSERT_EQ(::chown((scratch / name).c_str(), 70065, 70065), 0);
  }
  EXPECT_EQ(NumberOf(settings, "alice"), 70065u);
  EXPECT_NE(NumberOf(settings, "bob"), 70065u);
}

}  // namespace
}  // namespace postern::master
