#include "daemons/resolvd/unbound_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "common/io/scope.h"
#include "daemons/resolvd/lookups.h"
#include "tests/common/dns/builder.h"
#include "tests/daemons/resolvd/on_loop.h"
#include "tests/daemons/resolvd/scripted_server.h"

namespace postern::resolvd {
namespace {

using dns::Answer;
using dns::Message;
using dns::Rcode;
using dns::Security;
using dns::Status;
using dns::Type;
using dns::test::N;
using test::Packet;
using test::Reply;
using test::ScriptedServer;
using test::Send;

class UnboundResolverTest : public test::OnLoop {
 protected:
  std::unique_ptr<UnboundResolver> Make(const SocketAddress& server) {
    UnboundOptions options{.servers = {server}, .trust_anchor = "", .insecure_domains = {}};
    absl::StatusOr<std::unique_ptr<UnboundResolver>> made = UnboundResolver::Create(options);
    EXPECT_TRUE(made.ok()) << made.status();
    (*made)->Attach(*loop_);
    return *std::move(made);
  }
  Answer Ask(Resolver& resolver, std::string_view name, Type type,
             absl::Duration within = absl::Seconds(10)) {
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
INSTANTIATE_TEST_SUITE_P(Io, UnboundResolverTest, test::Backends(), test::BackendName);

// A small world.
std::vector<Packet> World(const Message& question, bool tcp) {
  const dns::Name name = question.question->name;
  const Type type = question.question->type;
  Message reply = Reply(question);
  if (name == N("mail.example.org") && type == Type::kA) {
    reply.answers = {dns::test::A("mail.example.org", "192.0.2.1"),
                     dns::test::A("mail.example.org", "192.0.2.2")};
  } else if (name == N("example.org") && type == Type::kMx) {
    reply.answers = {dns::test::MxOf("example.org", 10, "mail.example.org")};
  } else if (name == N("alias.example.org")) {
    reply.answers = {dns::test::Cname("alias.example.org", "mail.example.org"),
                     dns::test::A("mail.example.org", "192.0.2.1")};
  } else if (name == N("here.test") && type == Type::kA) {
    reply.answers = {dns::test::A("here.test", "192.0.2.9")};
  } else if (name == N("broken.example.org")) {
    reply.header.rcode = Rcode::kServerFailure;
  } else if (name == N("large.example.org") && type == Type::kA) {
    if (!tcp) {
      reply.header.truncated = true;
    } else {
      for (int i = 0; i < 200; ++i)
        reply.answers.push_back(dns::test::A("large.example.org", "192.0.2." + std::to_string(i)));
    }
  } else {
    const bool exists = name == N("mail.example.org") || name == N("example.org") ||
                        name == N("org") || name == N("test");
    if (!exists) reply.header.rcode = Rcode::kNameError;
    reply.authorities = {dns::test::SoaOf("org", 60, 60)};
  }
  return Send(reply);
}

TEST_P(UnboundResolverTest, RecordsAreFound) {
  ScriptedServer server(World);
  const auto resolver = Make(server.address());
  const Answer a = Ask(*resolver, "mail.example.org", Type::kA);
  EXPECT_EQ(a.status, Status::kFound) << a.reason;
  EXPECT_EQ(a.security, Security::kInsecure);
  EXPECT_EQ(a.records.size(), 2u);
  EXPECT_EQ(a.ttl_seconds, 300u);
  const Answer mx = Ask(*resolver, "example.org", Type::kMx);
  ASSERT_EQ(mx.status, Status::kFound) << mx.reason;
  EXPECT_EQ(std::get<dns::Mx>(mx.records[0]), (dns::Mx{10, N("mail.example.org")}));
  const Answer alias = Ask(*resolver, "alias.example.org", Type::kA);
  EXPECT_EQ(alias.status, Status::kFound);
  EXPECT_EQ(alias.canonical_name, N("mail.example.org"));
}

TEST_P(UnboundResolverTest, WhatIsNotThereIsSaidAsSuch) {
  ScriptedServer server(World);
  const auto resolver = Make(server.address());
  EXPECT_EQ(Ask(*resolver, "mail.example.org", Type::kMx).status, Status::kNoData);
  EXPECT_EQ(Ask(*resolver, "no.example.org", Type::kA).status, Status::kNxDomain);
  const Answer broken = Ask(*resolver, "broken.example.org", Type::kA);
  EXPECT_EQ(broken.status, Status::kTemporaryFailure);
  EXPECT_THAT(broken.reason, testing::HasSubstr("SERVFAIL"));
}

TEST_P(UnboundResolverTest, ACutOffAnswerIsFetchedOverTcp) {
  ScriptedServer server(World);
  const auto resolver = Make(server.address());
  const Answer large = Ask(*resolver, "large.example.org", Type::kA);
  EXPECT_EQ(large.status, Status::kFound) << large.reason;
  EXPECT_EQ(large.records.size(), 200u);
  EXPECT_GE(server.tcp_questions(), 1);
}

TEST_P(UnboundResolverTest, ConfiguredServersAreAskedAboutTest) {
  ScriptedServer server(World);
  const auto resolver = Make(server.address());
  EXPECT_EQ(Ask(*resolver, "here.test", Type::kA).status, Status::kFound);
}

TEST_P(UnboundResolverTest, LocalNamesCostNoPacket) {
  ScriptedServer server(World);
  const auto resolver = Make(server.address());
  const Answer answer = Ask(*resolver, "localhost", Type::kA);
  EXPECT_EQ(answer.status, Status::kFound);
  EXPECT_EQ(Ask(*resolver, "some.invalid", Type::kA).status, Status::kNxDomain);
  EXPECT_EQ(server.udp_questions(), 0);
}

TEST_P(UnboundResolverTest, AnAnswerIsRememberedByTheLibrary) {
  ScriptedServer server(World);
  const auto resolver = Make(server.address());
  Ask(*resolver, "mail.example.org", Type::kA);
  const int asked = server.udp_questions();
  EXPECT_EQ(Ask(*resolver, "MAIL.example.org", Type::kA).status, Status::kFound);
  EXPECT_EQ(server.udp_questions(), asked);
}

TEST_P(UnboundResolverTest, AQuestionThatTakesTooLongIsGivenUp) {
  ScriptedServer server([](const Message&, bool) { return std::vector<Packet>{}; });
  const auto resolver = Make(server.address());
  const Answer answer = Ask(*resolver, "mail.example.org", Type::kA, absl::Milliseconds(50));
  EXPECT_EQ(answer.status, Status::kTemporaryFailure);
  EXPECT_EQ(answer.reason, "no answer in time");
}  // the resolver ends with the question under way

io::Task<absl::Status> AskMany(Resolver& resolver, int count, std::vector<Answer>& answers,
                               io::Deadline until) {
  struct Helper {
    static io::Task<absl::Status> One(Resolver& resolver, dns::Name name, Answer& answer,
                                      io::Deadline until) {
      answer = co_await resolver.Lookup(name, Type::kA, until);
      co_return absl::OkStatus();
    }
  };
  answers.resize(static_cast<size_t>(count));
  io::TaskScope scope;
  for (int i = 0; i < count; ++i) {
    scope.Spawn(Helper::One(resolver, N("h" + std::to_string(i) + ".example.org"),
                            answers[static_cast<size_t>(i)], until));
  }
  co_await scope.Join();
  co_return absl::OkStatus();
}

TEST_P(UnboundResolverTest, ManyQuestionsAreUnderWayAtOnce) {
  ScriptedServer server([](const Message& question, bool) {
    Message reply = Reply(question);
    if (question.question->type == Type::kA)
      reply.answers = {dns::test::A(question.question->name.ToText(), "192.0.2.1")};
    return Send(reply);
  });
  const auto resolver = Make(server.address());
  std::vector<Answer> answers;
  Run(AskMany(*resolver, 300, answers, Soon()));
  for (const Answer& answer : answers) EXPECT_EQ(answer.status, Status::kFound) << answer.reason;
}

TEST(UnboundResolver, ATrustAnchorThatCannotBeReadIsAnErrorThatNamesIt) {
  const auto made = UnboundResolver::Create(
      {.servers = {}, .trust_anchor = "/nonexistent/root.key", .insecure_domains = {}});
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.status().ToString(), testing::HasSubstr("/nonexistent/root.key"));
}

}  // namespace
}  // namespace postern::resolvd
