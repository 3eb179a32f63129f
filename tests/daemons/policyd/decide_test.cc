#include "daemons/policyd/decide.h"

#include <gtest/gtest.h>

namespace postern::policyd {
namespace {

using protocol::RecipientClass;
using protocol::policy::Decision;

Rules SampleRules() {
  config::Settings settings;
  settings.hostname = "mail.example.org";
  settings.domains = {"example.org", "xn--bcher-kva.example"};
  settings.relay.domains = {"relay.example", ".sub.example"};
  settings.relay.networks = {*IpNetwork::Parse("192.0.2.0/24"), *IpNetwork::Parse("2001:db8::/32")};
  settings.local.recipient_delimiter = "+";
  settings.smtp.max_connections_per_client = 2;
  std::vector<protocol::control::Account> accounts(2);
  accounts[0].name = "alice";
  accounts[1].name = "bob";
  return Rules(settings, accounts);
}

TEST(Rules, RecipientsAreAcceptedOrRefusedByTheTable) {
  const Rules rules = SampleRules();
  const struct {
    const char* label;
    const char* client;
    const char* recipient;
    bool routed;
    Decision decision;
    RecipientClass kind;
    const char* enhanced;
  } rows[] = {
      {"local user", "203.0.113.1", "alice@example.org", false, Decision::kAccept,
       RecipientClass::kLocal, ""},
      {"in any case", "203.0.113.1", "ALICE@example.org", false, Decision::kAccept,
       RecipientClass::kLocal, ""},
      {"with a detail", "203.0.113.1", "alice+list@example.org", false, Decision::kAccept,
       RecipientClass::kLocal, ""},
      {"detail of nobody", "203.0.113.1", "carol+list@example.org", false, Decision::kReject,
       RecipientClass::kRemote, "5.1.1"},
      {"unknown user", "203.0.113.1", "carol@example.org", false, Decision::kReject,
       RecipientClass::kRemote, "5.1.1"},
      {"U-label of a domain of ours", "203.0.113.1",
       "bob@b\xc3\xbc"
       "cher.example",
       false, Decision::kAccept, RecipientClass::kLocal, ""},
      {"postmaster alone", "203.0.113.1", "postmaster", false, Decision::kAccept,
       RecipientClass::kLocal, ""},
      {"postmaster of a domain", "203.0.113.1", "Postmaster@example.org", false, Decision::kAccept,
       RecipientClass::kLocal, ""},
      {"relay domain", "203.0.113.1", "x@relay.example", false, Decision::kAccept,
       RecipientClass::kRelay, ""},
      {"below a relay domain", "203.0.113.1", "x@a.b.sub.example", false, Decision::kAccept,
       RecipientClass::kRelay, ""},
      {"a relay domain in any case", "203.0.113.1", "x@RELAY.Example", false, Decision::kAccept,
       RecipientClass::kRelay, ""},
      {"below one in any case", "203.0.113.1", "x@A.Sub.EXAMPLE", false, Decision::kAccept,
       RecipientClass::kRelay, ""},
      {"below a relay domain that is listed by itself", "203.0.113.1", "x@a.relay.example", false,
       Decision::kReject, RecipientClass::kRemote, "5.7.1"},
      {"a name that only ends like a subdomain entry", "203.0.113.1", "x@a.evilsub.example", false,
       Decision::kReject, RecipientClass::kRemote, "5.7.1"},
      {"a local domain in any case", "203.0.113.1", "bob@EXAMPLE.Org", false, Decision::kAccept,
       RecipientClass::kLocal, ""},
      {"below a local domain", "203.0.113.1", "bob@a.example.org", false, Decision::kReject,
       RecipientClass::kRemote, "5.7.1"},
      {"A-label of a domain of ours", "203.0.113.1", "bob@XN--BCHER-KVA.example", false,
       Decision::kAccept, RecipientClass::kLocal, ""},
      {"U-label in upper case", "203.0.113.1",
       "bob@B\xc3\x9c"
       "CHER.example",
       false, Decision::kAccept, RecipientClass::kLocal, ""},
      {"a U-label that is none of ours", "203.0.113.1",
       "bob@k\xc3\xbc"
       "cher.example",
       false, Decision::kReject, RecipientClass::kRemote, "5.7.1"},
      {"a UTF-8 local part nobody has", "203.0.113.1", "\xc3\xa4@example.org", false,
       Decision::kReject, RecipientClass::kRemote, "5.1.1"},
      {"a quoted local part that is a user's", "203.0.113.1", "\"alice\"@example.org", false,
       Decision::kAccept, RecipientClass::kLocal, ""},
      {"postmaster, quoted", "203.0.113.1", "\"postmaster\"@example.org", false, Decision::kAccept,
       RecipientClass::kLocal, ""},
      {"postmaster elsewhere", "203.0.113.1", "postmaster@elsewhere.example", false,
       Decision::kReject, RecipientClass::kRemote, "5.7.1"},
      {"an address literal", "203.0.113.1", "x@[203.0.113.5]", false, Decision::kReject,
       RecipientClass::kRemote, "5.7.1"},
      {"an address literal from a network of ours", "192.0.2.9", "x@[203.0.113.5]", false,
       Decision::kAccept, RecipientClass::kRemote, ""},
      {"no address", "192.0.2.9", "x@", false, Decision::kReject, RecipientClass::kRemote, "5.1.3"},
      {"the first of a network", "192.0.2.0", "x@elsewhere.example", false, Decision::kAccept,
       RecipientClass::kRemote, ""},
      {"the last of a network", "192.0.2.255", "x@elsewhere.example", false, Decision::kAccept,
       RecipientClass::kRemote, ""},
      {"just below the network", "192.0.1.255", "x@elsewhere.example", false, Decision::kReject,
       RecipientClass::kRemote, "5.7.1"},
      {"just beyond the IPv6 network", "2001:db9::", "x@elsewhere.example", false,
       Decision::kReject, RecipientClass::kRemote, "5.7.1"},
      {"routed from a network of ours", "192.0.2.9", "victim%elsewhere@relay.example", true,
       Decision::kAccept, RecipientClass::kRelay, ""},
      {"not the domain of a subdomain entry", "203.0.113.1", "x@sub.example", false,
       Decision::kReject, RecipientClass::kRemote, "5.7.1"},
      {"a name that only ends like one", "203.0.113.1", "x@evilrelay.example", false,
       Decision::kReject, RecipientClass::kRemote, "5.7.1"},
      {"routed at a relay domain", "203.0.113.1", "victim%elsewhere@relay.example", true,
       Decision::kReject, RecipientClass::kRemote, "5.7.1"},
      {"routed at a local domain", "203.0.113.1", "victim%elsewhere@example.org", true,
       Decision::kReject, RecipientClass::kRemote, "5.1.1"},
      {"elsewhere from outside", "203.0.113.1", "x@elsewhere.example", false, Decision::kReject,
       RecipientClass::kRemote, "5.7.1"},
      {"elsewhere from a network of ours", "192.0.2.9", "x@elsewhere.example", false,
       Decision::kAccept, RecipientClass::kRemote, ""},
      {"elsewhere over IPv6", "2001:db8::5", "x@elsewhere.example", false, Decision::kAccept,
       RecipientClass::kRemote, ""},
      {"just outside the network", "192.0.3.0", "x@elsewhere.example", false, Decision::kReject,
       RecipientClass::kRemote, "5.7.1"},
  };
  for (const auto& row : rows) {
    protocol::policy::RecipientQuestion question;
    question.client = protocol::Ip::From(*IpAddress::Parse(row.client));
    question.sender = "someone@client.example";
    question.recipient = row.recipient;
    question.routed_local_part = row.routed;
    const protocol::policy::Verdict verdict = rules.Decide(question);
    EXPECT_EQ(verdict.decision, row.decision) << row.label << ": " << verdict.reason;
    EXPECT_EQ(verdict.reply.enhanced, row.enhanced) << row.label;
    if (row.decision == Decision::kAccept) {
      EXPECT_EQ(verdict.kind, row.kind) << row.label;
    }
    if (row.decision == Decision::kReject) {
      EXPECT_EQ(verdict.reply.code, 550) << row.label;
    }
  }
}

TEST(Rules, PostmasterWithoutAnAccountIsPutOffNotRefused) {
  config::Settings settings;
  settings.domains = {"example.org"};
  const Rules rules(settings, {});
  for (const char* recipient : {"postmaster", "POSTMASTER", "Postmaster@Example.org"}) {
    protocol::policy::RecipientQuestion question;
    question.sender = "a@b.example";
    question.recipient = recipient;
    const protocol::policy::Verdict verdict = rules.Decide(question);
    EXPECT_EQ(verdict.decision, Decision::kDefer) << recipient;
    EXPECT_EQ(verdict.reply.code, 450) << recipient;
    EXPECT_EQ(verdict.reply.enhanced, "4.3.5") << recipient;
  }
}

TEST(Rules, ASenderThatIsNoAddressIsRefused) {
  const Rules rules = SampleRules();
  const struct {
    const char* sender;
    Decision decision;
  } rows[] = {{"", Decision::kAccept},
              {"a@b.example", Decision::kAccept},
              {"\xc3\xa4@b\xc3\xbc.example", Decision::kAccept},
              {"a@", Decision::kReject},
              {"no-domain", Decision::kReject}};
  for (const auto& row : rows) {
    protocol::policy::RecipientQuestion question;
    question.sender = row.sender;
    question.recipient = "alice@example.org";
    const protocol::policy::Verdict verdict = rules.Decide(question);
    EXPECT_EQ(verdict.decision, row.decision) << row.sender;
    if (row.decision == Decision::kReject) {
      EXPECT_EQ(verdict.reply.enhanced, "5.1.7") << row.sender;
    }
  }
}

TEST(Rules, ALocalUserMaySendAnywhere) {
  protocol::policy::RecipientQuestion question;
  question.local_user = "alice";
  question.recipient = "x@elsewhere.example";
  EXPECT_EQ(SampleRules().Decide(question).decision, Decision::kAccept);
}

TEST(ConnectionCounter, CountsPerAddressAndForIpv6Per64) {
  ConnectionCounter counter;
  const IpAddress v4 = *IpAddress::Parse("192.0.2.1");
  EXPECT_TRUE(counter.Add(v4, 2));
  EXPECT_TRUE(counter.Add(v4, 2));
  EXPECT_FALSE(counter.Add(v4, 2)) << "at its limit";
  EXPECT_TRUE(counter.Add(*IpAddress::Parse("192.0.2.2"), 2)) << "another client is not concerned";
  counter.Remove(v4);
  EXPECT_TRUE(counter.Add(v4, 2));
  EXPECT_TRUE(counter.Add(*IpAddress::Parse("2001:db8::1"), 1));
  EXPECT_FALSE(counter.Add(*IpAddress::Parse("2001:db8::ffff:2"), 1)) << "the same /64";
  EXPECT_TRUE(counter.Add(*IpAddress::Parse("2001:db8:0:1::1"), 1));
  counter.Remove(*IpAddress::Parse("198.51.100.1"));
  EXPECT_EQ(counter.count(v4), 2);
}

}  // namespace
}  // namespace postern::policyd
