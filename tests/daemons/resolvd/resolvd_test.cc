// The daemon itself, confined as ever: this test is its master and its smtpc.
#include "daemons/resolvd/resolvd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ipc/protocol/smtpc_resolvd.h"
#include "tests/common/dns/builder.h"
#include "tests/daemons/resolvd/on_loop.h"
#include "tests/daemons/resolvd/scripted_server.h"

namespace postern::resolvd {
namespace {

namespace wire = protocol::dns;
namespace control = protocol::control;

// Takes whatever comes and notes that the daemon is ready.
class Handler final : public ipc::FrameHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override {
    if (frame.type == control::kReady) ready.Set();
    return absl::OkStatus();
  }
  io::Event ready;
};

struct Ends {
  Ends() {
    int fds[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    ours.reset(fds[0]);
    theirs.reset(fds[1]);
  }
  UniqueFd ours, theirs;
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
    control::Configure configure;
    configure.role = control::Role::kResolvd;
    configure.configuration.file_name = "/etc/postern/postern.toml";
    configure.configuration.base_directory = "/";
    configure.configuration.toml = StrCat(
        "hostname = \"mail.example.net\"\ndomains = [\"example.net\"]\nio = \"",
        GetParam() == io::BackendKind::kUring ? "uring" : "epoll", "\"\n[dns]\nmode = \"", mode,
        "\"\nservers = [\"", server.address().ToString(), "\"]\ntrust_anchor = \"\"\n");
    Ends master;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      // A descriptor that is 3 already would keep its close-on-exec flag.
      const int kept = ::fcntl(master.theirs.get(), F_DUPFD, 10);
      ::dup2(kept, service::kControlFd);
      ::close(kept);
      ::execl(POSTERN_RESOLVD, "resolvd", nullptr);
      ::_exit(127);
    }
    master.theirs.reset();
    Run(AsMaster(configure, std::move(master.ours)));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  }

  io::Task<absl::Status> AsMaster(control::Configure configure, UniqueFd end) {
    Handler handler;
    io::TaskScope scope;
    ipc::Channel to_daemon(*loop_, std::move(end), protocol::kControl, ipc::Side::kA);
    Ends edge;
    ipc::Channel questions(*loop_, std::move(edge.ours), protocol::kSmtpcResolvd, ipc::Side::kA);
    scope.Spawn(to_daemon.Run(handler));
    scope.Spawn(questions.Run(handler));
    control::EdgeEnd which;
    which.kind = control::EdgeKind::kSmtpcResolvd;
    absl::Status ended = to_daemon.Send(to_daemon.NewId(), configure);
    if (ended.ok()) ended = to_daemon.Send(to_daemon.NewId(), which, std::move(edge.theirs));
    const protocol::Empty<control::kBegin> begin;
    if (ended.ok()) ended = to_daemon.Send(to_daemon.NewId(), begin);
    if (ended.ok()) ended = co_await handler.ready.Wait(Soon());
    if (ended.ok()) ended = co_await AskAll(questions);
    const control::Stop stop{.within_ms = 5000};
    IgnoreStatus(to_daemon.Send(to_daemon.NewId(), stop), "the exit status tells");
    co_await scope.Join();  // the daemon's end closes both
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
