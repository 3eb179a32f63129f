// The daemon itself, confined as ever: this test is its master, qmgr and resolvd, and the servers
// it brings mail to, on loopback.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <list>
#include <map>
#include <memory>
#include <vector>

#include "common/io/listener.h"
#include "common/io/socket.h"
#include "common/ipc/protocol/qmgr_smtpc.h"
#include "common/ipc/protocol/smtpc_resolvd.h"
#include "tests/daemons/started_daemon.h"
#include "tests/testing/run_in_loop.h"

namespace postern::smtpc {
namespace {

namespace control = protocol::control;
namespace delivery = protocol::delivery;
namespace dns = protocol::dns;

class FakeQmgr final : public ipc::FrameHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override {
    if (frame.type == delivery::kCapacity) {
      ASSIGN_OR_RETURN(const auto message, ipc::DecodeFrame<delivery::Capacity>(frame));
      capacity = message.jobs;
    } else if (frame.type == delivery::kResults) {
      ASSIGN_OR_RETURN(auto message, ipc::DecodeFrame<delivery::Results>(frame));
      for (delivery::Result& result : message.results) results.push_back(std::move(result));
    } else {
      ASSIGN_OR_RETURN(auto message, ipc::DecodeFrame<delivery::JobDone>(frame));
      done.push_back(std::move(message));
    }
    changed.Wake();
    return absl::OkStatus();
  }
  uint32_t capacity = 0;
  std::vector<delivery::Result> results;
  std::vector<delivery::JobDone> done;
  io::Event changed;
};

// Answers from a table; what is not in it does not exist.
class FakeResolvd final : public ipc::FrameHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override {
    ASSIGN_OR_RETURN(const auto question, ipc::DecodeFrame<dns::Question>(frame));
    dns::Answer answer{.status = dns::Status::kNoDomain};
    if (const auto found = answers.find({question.name, question.type}); found != answers.end()) {
      answer = found->second;
    } else if (names.contains(question.name)) {
      answer.status = dns::Status::kNoData;
    }
    answer.canonical_name = question.name;
    return channel->Send(frame.id, answer);
  }
  void Add(const std::string& name, dns::RecordType type, std::vector<dns::Record> records) {
    names[name] = true;
    answers[{name, type}] = {.status = dns::Status::kFound, .records = std::move(records)};
  }
  void AddHost(const std::string& name, uint32_t address) {
    Add(name, dns::RecordType::kA, {{.data = protocol::Ip::From(IpAddress::V4(address)).octets}});
  }

  ipc::Channel* channel = nullptr;
  std::map<std::pair<std::string, dns::RecordType>, dns::Answer> answers;
  std::map<std::string, bool> names;
};

// A server that takes everything, and keeps what it heard.
class Server {
 public:
  explicit Server(io::Loop& loop) : loop_(loop) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_storage storage;
    const socklen_t length = SocketAddress{.ip = IpAddress::V4(0x7F000001)}.ToSockaddr(storage);
    CHECK(::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0);
    CHECK(::listen(fd.get(), 16) == 0);
    port_ = io::LocalAddress(fd.get())->port;
    listener_ = std::make_unique<io::Listener>(loop, std::move(fd));
  }
  uint16_t port() const { return port_; }

  io::Task<absl::Status> Serve(io::Deadline until) {
    io::TaskScope connections;
    for (;;) {
      absl::StatusOr<io::Listener::Connection> connection = co_await listener_->Accept(until);
      if (!connection.ok()) break;
      heard.emplace_back();
      connections.Spawn(Talk(std::move(connection->fd), heard.back(), until));
    }
    co_await connections.Join();
    co_return absl::OkStatus();
  }

  std::list<std::string> heard;    // by connection
  bool silent_at_the_end = false;  // never answers the end of a message
  size_t open = 0;
  io::Event changed;

 private:
  io::Task<absl::Status> Talk(UniqueFd fd, std::string& all, io::Deadline until) {
    ++open;
    const absl::Status ended = co_await Dialogue(std::move(fd), all, until);
    --open;
    changed.Wake();
    co_return ended;
  }
  io::Task<absl::Status> Dialogue(UniqueFd fd, std::string& all, io::Deadline until) {
    io::Socket socket(loop_, std::move(fd));
    CO_RETURN_IF_ERROR(co_await socket.Send("220 mx\r\n", until));
    bool content = false;
    for (size_t at = 0;;) {
      const absl::StatusOr<std::string_view> received = co_await socket.Receive(until);
      if (!received.ok() || received->empty()) co_return absl::OkStatus();
      all += *received;
      socket.Consume(received->size());
      std::string reply;
      for (size_t end; (end = all.find("\r\n", at)) != std::string::npos; at = end + 2) {
        const std::string line = all.substr(at, end - at);
        if (content) {
          if (line != ".") continue;
          content = false;
          if (!silent_at_the_end) reply += "250 2.0.0 ok\r\n";
        } else if (line.starts_with("EHLO")) {
          reply += "250-mx\r\n250 PIPELINING\r\n";
        } else if (line == "DATA") {
          content = true;
          reply += "354 go on\r\n";
        } else {
          reply += line == "QUIT" ? "221 bye\r\n" : "250 ok\r\n";
        }
      }
      changed.Wake();
      if (!reply.empty()) CO_RETURN_IF_ERROR(co_await socket.Send(reply, until));
    }
  }

  io::Loop& loop_;
  uint16_t port_ = 0;
  std::unique_ptr<io::Listener> listener_;
};

delivery::Job JobFor(const std::string& domain) {
  delivery::Job job;
  job.queue_id = 1;
  job.domain = domain;
  job.sender = "a@example.net";
  job.inline_content = "Subject: x\r\n\r\nbody\r\n";
  job.content_octets = job.inline_content.size();
  job.recipients.push_back({.index = 7, .address = "b@" + domain, .orcpt = {}, .notify = 0});
  return job;
}

class SmtpcProcess : public test::OnBothBackends {
 protected:
  void SetUp() override {
    test::OnBothBackends::SetUp();
    if (IsSkipped()) return;
    if (test::kSanitized) GTEST_SKIP() << "built with a sanitizer";
    server = std::make_unique<Server>(*loop);
  }
  void TearDown() override {
    server.reset();
    test::OnBothBackends::TearDown();
  }
  io::Deadline Soon() const { return loop->After(absl::Seconds(20)); }
  control::Configure Configure() const {
    return test::ConfigureFor(
        control::Role::kSmtpc, GetParam(),
        StrCat("[outbound]\nport = ", server->port(), "\nipv6 = false\n", outbound));
  }

  // Gives smtpc the jobs one after the other, then stops it; or, with `lose_qmgr`, closes qmgr's
  // end once the server has a message it does not answer.
  io::Task<absl::Status> Bring(std::vector<delivery::Job> jobs, bool lose_qmgr = false) {
    io::TaskScope scope;
    io::TaskScope serving;
    serving.Spawn(server->Serve(io::Deadline::Never()));
    test::StartedDaemon smtpc(*loop, scope, POSTERN_SMTPC, Configure());
    UniqueFd qmgr_end = smtpc.AddEdge({.kind = control::EdgeKind::kQmgrSmtpc});
    const int qmgr_fd = qmgr_end.get();
    ipc::Channel channel(*loop, std::move(qmgr_end), protocol::kQmgrSmtpc, ipc::Side::kA);
    ipc::Channel names(*loop, smtpc.AddEdge({.kind = control::EdgeKind::kSmtpcResolvd}),
                       protocol::kSmtpcResolvd, ipc::Side::kB);
    resolvd.channel = &names;
    scope.Spawn(channel.Run(qmgr));
    scope.Spawn(names.Run(resolvd));
    absl::Status ended = co_await smtpc.Begin(Soon());
    while (ended.ok() && qmgr.capacity == 0) ended = co_await qmgr.changed.Wait(Soon());
    for (const delivery::Job& job : jobs) {
      if (!ended.ok()) break;
      const size_t before = qmgr.done.size();
      ended = channel.Send(channel.NewId(), job, std::move(descriptor));
      if (lose_qmgr) {
        while (ended.ok() && (server->heard.empty() ||
                              server->heard.back().find("\r\n.\r\n") == std::string::npos))
          ended = co_await server->changed.Wait(Soon());
        ::shutdown(qmgr_fd, SHUT_RDWR);
        while (ended.ok() && server->open > 0) ended = co_await server->changed.Wait(Soon());
        break;
      }
      while (ended.ok() && qmgr.done.size() == before) ended = co_await qmgr.changed.Wait(Soon());
    }
    smtpc.RequestStop();
    co_await scope.Join();
    EXPECT_EQ(smtpc.WaitForEnd(), 0);
    while (ended.ok() && server->open > 0) ended = co_await server->changed.Wait(Soon());
    serving.RequestStop();
    co_await serving.Join();
    co_return ended;
  }
  // The one result of the last job: "relayed 2.0.0".
  std::string Last() const {
    if (qmgr.results.empty()) return "none";
    static constexpr std::string_view kWords[] = {"delivered", "relayed", "deferred", "failed"};
    const delivery::Result& result = qmgr.results.back();
    EXPECT_EQ(result.index, 7u);
    return StrCat(kWords[static_cast<size_t>(result.outcome)], " ", result.status);
  }

  std::string outbound = "loopback_allowed = true\n";
  std::unique_ptr<Server> server;
  FakeQmgr qmgr;
  FakeResolvd resolvd;
  UniqueFd descriptor;
};
ON_BOTH_BACKENDS(SmtpcProcess);

TEST_P(SmtpcProcess, AHostThatDoesNotAnswerIsPassedOver) {
  resolvd.Add("example.org", dns::RecordType::kMx,
              {{.preference = 20, .data = "backup.example.org"},
               {.preference = 10, .data = "mx.example.org"}});
  resolvd.AddHost("mx.example.org", 0x7F000002);  // nobody listens there
  resolvd.AddHost("backup.example.org", 0x7F000001);
  Run(Bring({JobFor("example.org")}));
  EXPECT_EQ(Last(), "relayed 2.0.0");
  EXPECT_EQ(qmgr.results.back().remote, "backup.example.org [127.0.0.1]");
  ASSERT_EQ(qmgr.done.size(), 1u);
  EXPECT_EQ(qmgr.done[0].destination, delivery::Destination::kHealthy);
  ASSERT_EQ(server->heard.size(), 1u);
  EXPECT_NE(server->heard.front().find("\r\nbody\r\n.\r\n"), std::string::npos);
}

TEST_P(SmtpcProcess, AConnectionIsKeptForTheNextMessageAndLeftWithQuit) {
  resolvd.AddHost("example.org", 0x7F000001);  // no MX: the domain's own address
  Run(Bring({JobFor("example.org"), JobFor("example.org")}));
  EXPECT_EQ(qmgr.done.size(), 2u);
  ASSERT_EQ(server->heard.size(), 1u);
  EXPECT_TRUE(server->heard.front().ends_with("\r\nQUIT\r\n"));
}

TEST_P(SmtpcProcess, AConnectionThatHasCarriedItsMessagesIsLeftWithQuit) {
  outbound += "max_messages_per_connection = 1\n";
  resolvd.AddHost("example.org", 0x7F000001);
  Run(Bring({JobFor("example.org"), JobFor("example.org")}));
  ASSERT_EQ(server->heard.size(), 2u);
  for (const std::string& heard : server->heard) EXPECT_TRUE(heard.ends_with("\r\nQUIT\r\n"));
}

TEST_P(SmtpcProcess, ContentInAFileFollowsWhatCameInline) {
  resolvd.AddHost("example.org", 0x7F000001);
  delivery::Job job = JobFor("example.org");
  job.inline_content = "Received: here\r\n";
  const std::string content = "Subject: x\r\n\r\n" + std::string(300000, 'y') + "\r\nend\r\n";
  descriptor.reset(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(descriptor.valid());
  const std::string file = "12345" + content + "not of this message";
  ASSERT_EQ(::write(descriptor.get(), file.data(), file.size()), static_cast<ssize_t>(file.size()));
  job.content_offset = 5;
  job.content_octets = content.size();
  Run(Bring({job}));
  EXPECT_EQ(Last(), "relayed 2.0.0");
  ASSERT_EQ(server->heard.size(), 1u);
  EXPECT_NE(server->heard.front().find("DATA\r\nReceived: here\r\n" + content + ".\r\n"),
            std::string::npos);
}

TEST_P(SmtpcProcess, WhatDnsSaysDecidesWhetherMailBouncesOrWaits) {
  resolvd.Add("null.example", dns::RecordType::kMx, {{.preference = 0, .data = "."}});
  resolvd.Add("self.example", dns::RecordType::kMx,
              {{.preference = 5, .data = "mail.example.net"}});
  resolvd.answers[{"later.example", dns::RecordType::kMx}] = {
      .status = dns::Status::kTemporaryFailure, .reason = "SERVFAIL"};
  resolvd.Add("closed.example", dns::RecordType::kMx,
              {{.preference = 5, .data = "mx.closed.example"}});
  resolvd.AddHost("mx.closed.example", 0x7F000002);
  struct Row {
    const char* domain;
    const char* result;
    delivery::Destination destination;
  };
  const Row rows[] = {
      {"null.example", "failed 5.1.10", delivery::Destination::kHealthy},
      {"self.example", "failed 5.4.6", delivery::Destination::kHealthy},
      {"gone.example", "failed 5.1.2", delivery::Destination::kHealthy},
      {"later.example", "deferred 4.4.3", delivery::Destination::kUnreachable},
      {"closed.example", "deferred 4.4.1", delivery::Destination::kUnreachable},
  };
  std::vector<delivery::Job> jobs;
  for (const Row& row : rows) jobs.push_back(JobFor(row.domain));
  Run(Bring(jobs));
  ASSERT_EQ(qmgr.done.size(), std::size(rows));
  ASSERT_EQ(qmgr.results.size(), std::size(rows));
  const std::vector<delivery::Result> results = qmgr.results;
  for (size_t i = 0; i < std::size(rows); ++i) {
    qmgr.results = {results[i]};
    EXPECT_EQ(Last(), rows[i].result) << rows[i].domain;
    EXPECT_EQ(qmgr.done[i].destination, rows[i].destination) << rows[i].domain;
  }
  EXPECT_TRUE(server->heard.empty());
}

TEST_P(SmtpcProcess, AStrangersMxCannotLeadToThisHost) {
  outbound = "";
  resolvd.Add("example.org", dns::RecordType::kMx, {{.preference = 5, .data = "mx.example.org"}});
  resolvd.AddHost("mx.example.org", 0x7F000001);
  delivery::Job route = JobFor("example.org");
  route.host = "127.0.0.1";
  route.port = server->port();
  Run(Bring({JobFor("example.org"), route}));
  ASSERT_EQ(qmgr.results.size(), 2u);
  EXPECT_EQ(qmgr.results[0].outcome, delivery::Outcome::kDeferred);
  EXPECT_EQ(Last(), "relayed 2.0.0") << "a route of the configuration may";
  EXPECT_EQ(server->heard.size(), 1u);
}

TEST_P(SmtpcProcess, WithItsQmgrGoneAJobEndsForItIsGivenOutAgain) {
  server->silent_at_the_end = true;
  resolvd.AddHost("example.org", 0x7F000001);
  Run(Bring({JobFor("example.org")}, /*lose_qmgr=*/true));
  EXPECT_TRUE(qmgr.done.empty());
  EXPECT_EQ(server->open, 0u);
}

}  // namespace
}  // namespace postern::smtpc
