// The daemon itself, confined as ever: this test is its master and its smtpc.
#include "daemons/resolvd/resolvd.h"

#include <gtest/gtest.h>

#include "common/ipc/protocol/smtpc_resolvd.h"
#include "tests/common/dns/builder.h"
#include "tests/daemons/resolvd/on_loop.h"
#include "tests/daemons/resolvd/scripted_server.h"
#include "tests/daemons/started_daemon.h"

namespace postern::resolvd {
namespace {

namespace wire = protocol::dns;
namespace control = protocol::control;

// Answers come to those who asked; nothing else is said.
class Handler final : public ipc::FrameHandler {
 public:
  absl::Status OnFrame(ipc::Frame&) override { return absl::OkStatus(); }
};

std::vector<test::Packet> World(const dns::Message& question, bool) {
  dns::Message reply = test::Reply(question);
  const std::string name = question.question->name.Lower().ToText();
  if (name == "example.org" && question.question->type == dns::Type::kMx) {
    reply.answers = {dns::test::MxOf("example.org", 10, "MX.example.org")};
  } else if (name.starts_with("no")) {
    reply.header.rcode = dns::Rcode::kNameError;
  } else {
    reply.header.rcode = dns::Rcode::kServerFailure;
  }
  return test::Send(reply);
}

class ResolvdTest : public test::OnLoop {
 protected:
  void Serve(std::string_view mode) {
    if (test::kSanitized) GTEST_SKIP() << "built with a sanitizer";
    test::ScriptedServer server(World);
    const control::Configure configure = postern::test::ConfigureFor(
        control::Role::kResolvd, GetParam(),
        StrCat("[dns]\nmode = \"", mode, "\"\nservers = [\"", server.address().ToString(),
               "\"]\ntrust_anchor = \"\"\n"));
    Run(AsMaster(configure));
  }

  io::Task<absl::Status> AsMaster(control::Configure configure) {
    Handler handler;
    io::TaskScope scope;
    postern::test::StartedDaemon daemon(*loop_, scope, POSTERN_RESOLVD, configure);
    control::EdgeEnd which;
    which.kind = control::EdgeKind::kSmtpcResolvd;
    ipc::Channel questions(*loop_, daemon.AddEdge(which), protocol::kSmtpcResolvd, ipc::Side::kA);
    scope.Spawn(questions.Run(handler));
    absl::Status ended = co_await daemon.Begin(Soon());
    if (ended.ok()) ended = co_await AskAll(questions);
    daemon.RequestStop();
    co_await scope.Join();  // the daemon's end closes both
    EXPECT_EQ(daemon.WaitForEnd(), 0);
    co_return ended;
  }

  io::Task<absl::Status> AskAll(ipc::Channel& channel) {
    const struct {
      wire::Question question;
      wire::Status status;
    } rows[] = {
        {{.name = "example.org", .type = wire::RecordType::kMx}, wire::Status::kFound},
        {{.name = "no.example.org", .type = wire::RecordType::kA}, wire::Status::kNoDomain},
        {{.name = "a..b", .type = wire::RecordType::kA}, wire::Status::kNoDomain},
        {{.name = "broken.example.org", .type = wire::RecordType::kA},
         wire::Status::kTemporaryFailure},
    };
    for (const auto& row : rows) {
      CO_ASSIGN_OR_RETURN(const wire::Answer answer,
                          co_await channel.Call<wire::Answer>(row.question, Soon()));
      EXPECT_EQ(answer.status, row.status) << row.question.name << ": " << answer.reason;
      if (row.status != wire::Status::kFound) continue;
      EXPECT_EQ(answer.records.size(), 1u);
      EXPECT_EQ(answer.records.at(0).preference, 10);
      EXPECT_EQ(answer.records.at(0).data, "mx.example.org");
    }
    co_return absl::OkStatus();
  }
};
INSTANTIATE_TEST_SUITE_P(Io, ResolvdTest, test::Backends(), test::BackendName);

TEST_P(ResolvdTest, AnswersInModeSystem) { Serve("system"); }
#ifdef POSTERN_WITH_UNBOUND
TEST_P(ResolvdTest, AnswersInModeUnbound) { Serve("unbound"); }
#endif

}  // namespace
}  // namespace postern::resolvd
