#include "daemons/resolvd/system_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/dns/limits.h"
#include "daemons/resolvd/limits.h"
#include "tests/common/dns/builder.h"
#include "tests/daemons/resolvd/on_loop.h"
#include "tests/daemons/resolvd/scripted_server.h"

namespace postern::resolvd {
namespace {

using dns::Answer;
using dns::Rcode;
using dns::Security;
using dns::Status;
using dns::Type;
using dns::test::N;
using test::Packet;
using test::Reply;
using test::ScriptedServer;
using test::Send;
using testing::HasSubstr;

using Packets = std::vector<Packet>;

dns::Message AddressReply(const dns::Message& question, std::string_view ip = "192.0.2.1") {
  dns::Message reply = Reply(question);
  reply.answers = {dns::test::A(question.question->name.ToText(), ip)};
  return reply;
}
Packets GiveAddress(const dns::Message& question, bool) { return Send(AddressReply(question)); }
Packets SayNothing(const dns::Message&, bool) { return {}; }
Packets SayServfail(const dns::Message& question, bool) {
  return Send(Reply(question, Rcode::kServerFailure));
}

class SystemResolverTest : public test::OnLoop {
 protected:
  SystemOptions Options(const std::vector<const ScriptedServer*>& servers) {
    SystemOptions options{.servers = {}, .first_try = absl::Milliseconds(60)};
    for (const ScriptedServer* server : servers) options.servers.push_back(server->address());
    return options;
  }
  Answer Ask(SystemOptions options, std::string_view name, Type type = Type::kA) {
    SystemResolver resolver(*loop_, std::move(options));
    return Ask(resolver, name, type);
  }
  Answer Ask(SystemResolver& resolver, std::string_view name, Type type = Type::kA,
             absl::Duration within = absl::Seconds(20)) {
    Answer answer;
    Run(AskInto(resolver, N(name), type, loop_->After(within), answer));
    return answer;
  }
  static io::Task<absl::Status> AskInto(Resolver& resolver, dns::Name name, Type type,
                                        io::Deadline until, Answer& answer) {
    answer = co_await resolver.Lookup(name, type, until);
    co_return absl::OkStatus();
  }
};
INSTANTIATE_TEST_SUITE_P(Io, SystemResolverTest, test::Backends(), test::BackendName);

TEST_P(SystemResolverTest, AnAnswerOverUdpIsTaken) {
  ScriptedServer server(GiveAddress);
  const Answer answer = Ask(Options({&server}), "mail.example.org");
  EXPECT_EQ(answer.status, Status::kFound) << answer.reason;
  EXPECT_EQ(answer.records,
            (std::vector<dns::RecordData>{dns::Address{IpAddress::V4(0xC0000201)}}));
  EXPECT_EQ(server.udp_questions(), 1);
  EXPECT_EQ(server.tcp_questions(), 0);
}

TEST_P(SystemResolverTest, PacketsThatAnswerNothingAreIgnored) {
  ScriptedServer server([](const dns::Message& question, bool) {
    Packets packets;
    dns::Message forged = AddressReply(question, "198.51.100.66");
    packets.push_back({dns::Encode(forged), /*from_elsewhere=*/true});
    forged.header.id ^= 1;
    packets.push_back({dns::Encode(forged)});
    forged = AddressReply(question, "198.51.100.66");
    forged.question->name = N("evil.example");
    packets.push_back({dns::Encode(forged)});
    forged = AddressReply(question, "198.51.100.66");
    forged.question->type = Type::kTxt;
    packets.push_back({dns::Encode(forged)});
    forged = AddressReply(question, "198.51.100.66");
    forged.question.reset();
    packets.push_back({dns::Encode(forged)});
    forged = AddressReply(question, "198.51.100.66");
    forged.header.response = false;
    packets.push_back({dns::Encode(forged)});
    packets.push_back({"x"});
    packets.push_back({""});
    packets.push_back({dns::Encode(AddressReply(question, "192.0.2.1"))});
    return packets;
  });
  const Answer answer = Ask(Options({&server}), "mail.example.org");
  ASSERT_EQ(answer.status, Status::kFound) << answer.reason;
  EXPECT_EQ(answer.records,
            (std::vector<dns::RecordData>{dns::Address{IpAddress::V4(0xC0000201)}}));
}

TEST_P(SystemResolverTest, AFloodOfPacketsEndsTheTry) {
  for (const int strays : {kMaxStrayPackets, kMaxStrayPackets + 1}) {
    ScriptedServer server([strays](const dns::Message& question, bool) {
      dns::Message forged = AddressReply(question);
      forged.header.id ^= 1;
      Packets packets(static_cast<size_t>(strays), Packet{dns::Encode(forged)});
      packets.push_back({dns::Encode(AddressReply(question))});
      return packets;
    });
    const Answer answer = Ask(Options({&server}), "mail.example.org");
    EXPECT_EQ(answer.status == Status::kFound, strays == kMaxStrayPackets) << answer.reason;
  }
}

TEST_P(SystemResolverTest, EachQuestionHasAnIdAndACaseOfItsOwn) {
  std::vector<std::pair<uint16_t, std::string>> asked;
  ScriptedServer server([&asked](const dns::Message& question, bool) {
    asked.emplace_back(question.header.id, question.question->name.ToText());
    return Send(Reply(question, Rcode::kServerFailure));
  });
  SystemOptions options = Options({&server});
  for (int i = 0; i < 8; ++i) Ask(options, "abcdefghijklmnopqrstuvwxyz.example.org");
  ASSERT_EQ(asked.size(), 8u);
  std::set<uint16_t> ids;
  std::set<std::string> spellings;
  for (const auto& [id, name] : asked) {
    ids.insert(id);
    spellings.insert(name);
  }
  EXPECT_GE(ids.size(), 7u);
  EXPECT_EQ(spellings.size(), 8u);
}

TEST_P(SystemResolverTest, AnAnswerInAnotherCaseIsAskedForOverTcp) {
  ScriptedServer server([](const dns::Message& question, bool) {
    dns::Message reply = AddressReply(question);
    reply.question->name = reply.question->name.Lower();
    return Send(reply);
  });
  const Answer answer = Ask(Options({&server}), "abcdefghijklmnopqrstuvwxyz.example.org");
  EXPECT_EQ(answer.status, Status::kFound) << answer.reason;
  EXPECT_EQ(server.tcp_questions(), 1);
}

TEST_P(SystemResolverTest, ATruncatedAnswerIsFetchedOverTcp) {
  ScriptedServer server([](const dns::Message& question, bool tcp) {
    dns::Message reply = Reply(question);
    reply.header.truncated = !tcp;
    for (int i = 0; tcp && i < 250; ++i)
      reply.answers.push_back(
          dns::test::A(question.question->name.ToText(), "192.0.2." + std::to_string(i)));
    return Send(reply);
  });
  const Answer answer = Ask(Options({&server}), "large.example.org");
  EXPECT_EQ(answer.status, Status::kFound) << answer.reason;
  EXPECT_EQ(answer.records.size(), 250u);
  EXPECT_EQ(server.tcp_questions(), 1);
}

TEST_P(SystemResolverTest, OverTcpOnlyTheAnswerToTheQuestionCounts) {
  ScriptedServer server([](const dns::Message& question, bool tcp) {
    dns::Message reply = AddressReply(question);
    reply.header.truncated = !tcp;
    if (tcp) reply.header.id ^= 1;
    return Send(reply);
  });
  const Answer answer = Ask(Options({&server}), "mail.example.org");
  EXPECT_EQ(answer.status, Status::kTemporaryFailure);
  EXPECT_THAT(answer.reason, HasSubstr("answers another question"));
}

TEST_P(SystemResolverTest, AServerThatHangsUpOverTcpIsAFailure) {
  ScriptedServer server([](const dns::Message& question, bool tcp) {
    dns::Message reply = AddressReply(question);
    reply.header.truncated = true;
    return tcp ? Packets{} : Send(reply);
  });
  const Answer answer = Ask(Options({&server}), "mail.example.org");
  EXPECT_EQ(answer.status, Status::kTemporaryFailure);
}

TEST_P(SystemResolverTest, TheNextServerIsAskedAfterASilentOrFailingOne) {
  for (const ScriptedServer::Script& bad :
       {ScriptedServer::Script(SayNothing), ScriptedServer::Script(SayServfail)}) {
    ScriptedServer first(bad);
    ScriptedServer second(GiveAddress);
    SystemResolver resolver(*loop_, Options({&first, &second}));
    EXPECT_EQ(Ask(resolver, "a.example.org").status, Status::kFound);
    const int asked = first.udp_questions();
    EXPECT_GE(asked, 1);
    // From now on the one that answered comes first.
    EXPECT_EQ(Ask(resolver, "b.example.org").status, Status::kFound);
    EXPECT_EQ(first.udp_questions(), asked);
  }
}

TEST_P(SystemResolverTest, ASilentServerIsAskedAgainInEachRound) {
  ScriptedServer server(SayNothing);
  const Answer answer = Ask(Options({&server}), "a.example.org");
  EXPECT_EQ(answer.status, Status::kTemporaryFailure);
  EXPECT_THAT(answer.reason, HasSubstr("no answer in time"));
  EXPECT_EQ(server.udp_questions(), kMaxRounds);
}

TEST_P(SystemResolverTest, AFailureOfAllServersIsNotAskedForAgain) {
  ScriptedServer first(SayServfail);
  ScriptedServer second(SayServfail);
  const Answer answer = Ask(Options({&first, &second}), "a.example.org");
  EXPECT_EQ(answer.status, Status::kTemporaryFailure);
  EXPECT_THAT(answer.reason, HasSubstr("SERVFAIL"));
  EXPECT_EQ(first.udp_questions(), 1);
  EXPECT_EQ(second.udp_questions(), 1);
}

TEST_P(SystemResolverTest, TheDeadlineEndsAQuestion) {
  ScriptedServer server(SayNothing);
  SystemOptions options = Options({&server});
  options.first_try = absl::Hours(1);
  SystemResolver resolver(*loop_, options);
  const Answer answer = Ask(resolver, "a.example.org", Type::kA, absl::Milliseconds(30));
  EXPECT_EQ(answer.status, Status::kTemporaryFailure);
  EXPECT_THAT(answer.reason, HasSubstr("no answer in time"));
}

TEST_P(SystemResolverTest, NobodyListeningIsSaidAtOnce) {
  SocketAddress nobody;
  {
    ScriptedServer server(SayNothing);
    nobody = server.address();
  }
  SystemOptions options{.servers = {nobody}, .first_try = absl::Hours(1)};
  const Answer answer = Ask(options, "a.example.org");
  EXPECT_EQ(answer.status, Status::kTemporaryFailure);
  EXPECT_THAT(answer.reason, HasSubstr(nobody.ToString()));
}

TEST_P(SystemResolverTest, AServerFromBeforeEdnsIsAskedWithout) {
  ScriptedServer server([](const dns::Message& question, bool) {
    if (!question.edns.has_value()) return Send(AddressReply(question));
    dns::Message reply = Reply(question, Rcode::kFormatError);
    reply.edns.reset();
    reply.question.reset();
    return Send(reply);
  });
  EXPECT_EQ(Ask(Options({&server}), "a.example.org").status, Status::kFound);
  EXPECT_EQ(server.udp_questions(), 2);
}

TEST_P(SystemResolverTest, TheServersVerdictCountsOnlyIfTheyMayBeBelieved) {
  for (const bool ad : {true, false}) {
    ScriptedServer server([ad](const dns::Message& question, bool) {
      dns::Message reply = AddressReply(question);
      reply.header.authentic_data = ad;
      return Send(reply);
    });
    SystemOptions options = Options({&server});
    EXPECT_EQ(Ask(options, "a.example.org").security, ad ? Security::kSecure : Security::kInsecure);
    // One server far away is enough for nobody to be believed, unless the administrator says so.
    options.servers.push_back({.ip = IpAddress::Parse("192.0.2.53").value(), .port = 53});
    EXPECT_EQ(Ask(options, "a.example.org").security, Security::kUnknown);
    options.trust_ad = true;
    EXPECT_EQ(Ask(options, "a.example.org").security, ad ? Security::kSecure : Security::kInsecure);
  }
}

TEST_P(SystemResolverTest, AChainThatTheServerDoesNotEndIsFollowed) {
  ScriptedServer server([](const dns::Message& question, bool) {
    dns::Message reply = Reply(question);
    reply.header.authentic_data = true;
    if (question.question->name == N("www.example.org")) {
      reply.answers = {dns::test::Cname("www.example.org", "host.example.net", 7)};
    } else {
      reply = AddressReply(question);
    }
    return Send(reply);
  });
  const Answer answer = Ask(Options({&server}), "www.example.org");
  EXPECT_EQ(answer.status, Status::kFound) << answer.reason;
  EXPECT_EQ(answer.canonical_name, N("host.example.net"));
  EXPECT_EQ(answer.ttl_seconds, 7u);
  EXPECT_EQ(answer.security, Security::kInsecure);  // its second half is
}

TEST_P(SystemResolverTest, AnEndlessChainEnds) {
  ScriptedServer server([](const dns::Message& question, bool) {
    dns::Message reply = Reply(question);
    reply.answers = {dns::test::Cname(question.question->name.ToText(),
                                      "x." + question.question->name.ToText())};
    return Send(reply);
  });
  const Answer answer = Ask(Options({&server}), "a.example.org");
  EXPECT_EQ(answer.status, Status::kTemporaryFailure);
  EXPECT_THAT(answer.reason, HasSubstr("CNAME"));
  EXPECT_LE(server.udp_questions(), dns::kMaxCnames + 1);
}

TEST_P(SystemResolverTest, ABrokenAnswerIsAFailure) {
  ScriptedServer server([](const dns::Message& question, bool) {
    std::string octets = dns::Encode(AddressReply(question));
    return Packets{{octets.substr(0, octets.size() - 20)}};
  });
  const Answer answer = Ask(Options({&server}), "a.example.org");
  EXPECT_EQ(answer.status, Status::kTemporaryFailure);
  EXPECT_THAT(answer.reason, HasSubstr("message ends"));
}

TEST_P(SystemResolverTest, AnswersAreRemembered) {
  ScriptedServer server(GiveAddress);
  SystemResolver resolver(*loop_, Options({&server}));
  Ask(resolver, "a.example.org");
  EXPECT_EQ(Ask(resolver, "A.EXAMPLE.org").status, Status::kFound);
  EXPECT_EQ(server.udp_questions(), 1);
  Ask(resolver, "a.example.org", Type::kMx);
  EXPECT_EQ(server.udp_questions(), 2);
}

TEST(ResolvConf, NameServersAreRead) {
  const auto text = [](std::string_view conf) {
    std::string joined;
    for (const SocketAddress& server : ServersOfResolvConf(conf)) joined += server.ToString() + " ";
    return joined;
  };
  EXPECT_EQ(text(""), "127.0.0.1:53 ");
  EXPECT_EQ(text("# nameserver 192.0.2.9\nsearch example.org\nnameserver 192.0.2.1\n"
                 "nameserver\t2001:db8::1  # second\r\nnameserver broken\nnameserver\n"
                 "nameservers 192.0.2.8\nnameserver 192.0.2.2"),
            "192.0.2.1:53 [2001:db8::1]:53 192.0.2.2:53 ");
  std::string many;
  for (size_t i = 0; i <= kMaxServers; ++i)
    many += "nameserver 192.0.2." + std::to_string(i) + "\n";
  EXPECT_EQ(ServersOfResolvConf(many).size(), kMaxServers);
}

}  // namespace
}  // namespace postern::resolvd
