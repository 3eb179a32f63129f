#include "daemons/master/identities.h"

#include <gtest/gtest.h>
#include <unistd.h>

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

}  // namespace
}  // namespace postern::master
