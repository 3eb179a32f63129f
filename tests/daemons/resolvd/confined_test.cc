// Both modes under their profile, for real: a child confines itself and asks.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "common/io/probe.h"
#include "common/service/confining.h"
#include "daemons/resolvd/system_resolver.h"
#include "sandbox/profiles/profiles.h"
#include "tests/common/dns/builder.h"
#include "tests/daemons/resolvd/on_loop.h"
#include "tests/daemons/resolvd/scripted_server.h"
#ifdef POSTERN_WITH_UNBOUND
#include "daemons/resolvd/unbound_resolver.h"
#endif

namespace postern::resolvd {
namespace {

using dns::Type;
using dns::test::N;
using sandbox::Backend;

absl::StatusOr<std::unique_ptr<io::Loop>> Confine(Backend backend, uint16_t port) {
  const sandbox::Profile profile = sandbox::ResolvdProfile(backend, {port});
  io::LoopOptions options;
  options.backend = backend == Backend::kUring ? io::BackendKind::kUring : io::BackendKind::kEpoll;
  // Whatever the kernel has, as the daemon does it.
  sandbox::MissingLayers missing({"mdwe", "landlock", "landlock-network", "landlock-scopes"});
  ASSIGN_OR_RETURN(service::Confined confined, service::EnterLayers(profile, {}, options, missing));
  return std::move(confined.loop);
}

// A small answer over UDP, a large one over TCP, nothing, and silence.
io::Task<absl::Status> AskAll(io::Loop& loop, Resolver& resolver) {
  const struct {
    const char* name;
    dns::Status status;
    size_t records;
  } rows[] = {{"small.example.org", dns::Status::kFound, 1},
              {"large.example.org", dns::Status::kFound, 200},
              {"none.example.org", dns::Status::kNxDomain, 0},
              {"silent.example.org", dns::Status::kTemporaryFailure, 0}};
  for (const auto& row : rows) {
    const dns::Name name = N(row.name);
    const bool silent = row.status == dns::Status::kTemporaryFailure;
    const absl::Duration patience = silent ? absl::Milliseconds(100) : absl::Seconds(10);
    const dns::Answer answer = co_await resolver.Lookup(name, Type::kA, loop.After(patience));
    if (answer.status != row.status || answer.records.size() != row.records) {
      co_return Internal(row.name, ": ", StatusName(answer.status), " ", answer.records.size(), " ",
                         answer.reason);
    }
  }
  co_return absl::OkStatus();
}

std::vector<test::Packet> World(const dns::Message& question, bool tcp) {
  dns::Message reply = test::Reply(question);
  const std::string name = question.question->name.Lower().ToText();
  if (name.starts_with("silent")) return {};
  if (name.starts_with("none")) reply.header.rcode = dns::Rcode::kNameError;
  const int records = name.starts_with("small") ? 1 : name.starts_with("large") ? 200 : 0;
  reply.header.truncated = records > 1 && !tcp;
  for (int i = 0; i < records && !reply.header.truncated; ++i)
    reply.answers.push_back(
        dns::test::A(question.question->name.ToText(), "192.0.2." + std::to_string(i)));
  return test::Send(reply);
}

// The child's exit status.
int Child(const SocketAddress& server, Backend backend, bool unbound) {
  absl::Status ended;
  const auto serve = [&](const absl::StatusOr<std::unique_ptr<io::Loop>>& loop, auto make) {
    if (!loop.ok()) return loop.status();
    auto resolver = make(**loop);
    return (*loop)->Run(AskAll(**loop, *resolver));
  };
#ifdef POSTERN_WITH_UNBOUND
  if (unbound) {
    auto made =
        UnboundResolver::Create({.servers = {server}, .trust_anchor = "", .insecure_domains = {}});
    if (!made.ok()) {
      ended = made.status();
    } else {
      const auto loop = Confine(backend, server.port);
      ended = serve(loop, [&](io::Loop& on_loop) {
        (*made)->Attach(on_loop);
        return made->get();
      });
      made->reset();
    }
  }
#endif
  if (!unbound) {
    const auto loop = Confine(backend, server.port);
    ended = serve(loop, [&](io::Loop& on_loop) {
      return std::make_unique<SystemResolver>(on_loop, SystemOptions{.servers = {server}});
    });
  }
  if (!ended.ok()) std::fprintf(stderr, "child: %s\n", ended.ToString().c_str());
  return ended.ok() ? 0 : 1;
}

void AskConfined(Backend backend, bool unbound) {
  if (test::kSanitized) GTEST_SKIP() << "built with a sanitizer";
  if (backend == Backend::kUring && !io::UringWorks()) GTEST_SKIP() << "no io_uring here";
  test::ScriptedServer server(World);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(Child(server.address(), backend, unbound));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_FALSE(WIFSIGNALED(status)) << "signal " << WTERMSIG(status);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(Confined, TheStubAsksOnEpoll) { AskConfined(Backend::kEpoll, false); }
TEST(Confined, TheStubAsksOnARing) { AskConfined(Backend::kUring, false); }
#ifdef POSTERN_WITH_UNBOUND
TEST(Confined, TheValidatorAsksOnEpoll) { AskConfined(Backend::kEpoll, true); }
TEST(Confined, TheValidatorAsksOnARing) { AskConfined(Backend::kUring, true); }
#endif

}  // namespace
}  // namespace postern::resolvd
