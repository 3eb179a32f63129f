// The daemon itself, confined as ever: this test is its master, policyd and qmgr, and the clients
// that come by TCP and by the Unix socket.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <vector>

#include "common/io/socket.h"
#include "common/ipc/protocol/smtpd_policyd.h"
#include "common/ipc/protocol/smtpd_qmgr.h"
#include "tests/daemons/started_daemon.h"
#include "tests/testing/run_in_loop.h"
#include "tests/testing/scripted_peer.h"

namespace postern::smtpd {
namespace {

namespace control = protocol::control;
namespace policy = protocol::policy;
namespace submission = protocol::submission;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FakePolicyd final : public ipc::FrameHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override {
    changed.Wake();
    if (frame.type == policy::kDisconnected) {
      ++gone;
      return absl::OkStatus();
    }
    if (frame.type == policy::kRecipientQuestion) {
      ASSIGN_OR_RETURN(auto question, ipc::DecodeFrame<policy::RecipientQuestion>(frame));
      questions.push_back(std::move(question));
    } else {
      ++came;
    }
    return channel->Send(frame.id, policy::Verdict{.decision = policy::Decision::kAccept});
  }
  ipc::Channel* channel = nullptr;
  int came = 0;
  int gone = 0;
  std::vector<policy::RecipientQuestion> questions;
  io::Event changed;
};

// Takes every message, and gives credit for each octet.
class FakeQmgr final : public ipc::FrameHandler {
 public:
  struct Message {
    submission::Submit submit;
    std::vector<submission::Recipient> recipients;
    std::string content;
    size_t frames = 0;
  };

  absl::Status OnFrame(ipc::Frame& frame) override {
    changed.Wake();
    Message& message = open[frame.id];
    if (frame.type == submission::kSubmit) {
      ASSIGN_OR_RETURN(message.submit, ipc::DecodeFrame<submission::Submit>(frame));
    } else if (frame.type == submission::kRecipients) {
      ASSIGN_OR_RETURN(auto more, ipc::DecodeFrame<submission::Recipients>(frame));
      for (auto& recipient : more.recipients) message.recipients.push_back(std::move(recipient));
    } else if (frame.type == submission::kContent) {
      ASSIGN_OR_RETURN(const auto content, ipc::DecodeFrame<submission::Content>(frame));
      message.content += content.bytes;
      ++message.frames;
      const auto octets = static_cast<uint32_t>(content.bytes.size());
      return channel->Send(frame.id, submission::Credit{.octets = octets});
    } else {
      const bool end = frame.type == submission::kEnd;
      (end ? committed : cancelled).push_back(std::move(message));
      open.erase(frame.id);
      return channel->Send(frame.id,
                           submission::Done{.outcome = end ? submission::Outcome::kCommitted
                                                           : submission::Outcome::kCancelled});
    }
    return absl::OkStatus();
  }
  ipc::Channel* channel = nullptr;
  std::map<uint32_t, Message> open;
  std::vector<Message> committed;
  std::vector<Message> cancelled;
  io::Event changed;
};

UniqueFd Listening(const sockaddr* address, socklen_t length) {
  UniqueFd fd(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  CHECK(::bind(fd.get(), address, length) == 0 && ::listen(fd.get(), 64) == 0);
  return fd;
}

class SmtpdProcess : public test::OnBothBackends {
 protected:
  void SetUp() override {
    test::OnBothBackends::SetUp();
    if (IsSkipped()) return;
    if (test::kSanitized) GTEST_SKIP() << "built with a sanitizer";
  }

  // What a test works with, while the daemon runs.
  struct World {
    World(SmtpdProcess& test, io::TaskScope& scope, const control::Configure& configure)
        : test_(test), daemon(*test.loop, scope, POSTERN_SMTPD, configure) {
      const SocketAddress any{.ip = IpAddress::V4(0x7F000001)};
      const socklen_t length = any.ToSockaddr(tcp_);
      UniqueFd tcp = Listening(reinterpret_cast<sockaddr*>(&tcp_), length);
      socklen_t size = sizeof tcp_;
      CHECK(::getsockname(tcp.get(), reinterpret_cast<sockaddr*>(&tcp_), &size) == 0);
      daemon.AddListener({.kind = control::ListenerKind::kSmtp, .name = "tcp"}, std::move(tcp));
      unix_.sun_family = AF_UNIX;  // an abstract name, of this process and test
      const std::string name = StrCat("postern-test-", ::getpid(), "-", ++count);
      name.copy(unix_.sun_path + 1, name.size());
      unix_length_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
      daemon.AddListener({.kind = control::ListenerKind::kSubmissionSocket, .name = "unix"},
                         Listening(reinterpret_cast<sockaddr*>(&unix_), unix_length_));
    }
    // A connection of a stranger, or of this test's user.
    io::Socket Tcp() { return Connect(reinterpret_cast<sockaddr*>(&tcp_), sizeof(sockaddr_in)); }
    io::Socket Unix() { return Connect(reinterpret_cast<sockaddr*>(&unix_), unix_length_); }
    io::Socket Connect(const sockaddr* address, socklen_t length) {
      UniqueFd fd(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      CHECK(::connect(fd.get(), address, length) == 0);
      CHECK(::fcntl(fd.get(), F_SETFL, O_NONBLOCK) == 0);
      return io::Socket(*test_.loop, std::move(fd));
    }

    // Whether anybody still listens for strangers.
    bool Reaches() const {
      const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&tcp_), sizeof(sockaddr_in)) ==
             0;
    }

    SmtpdProcess& test_;
    test::StartedDaemon daemon;
    sockaddr_storage tcp_{};
    sockaddr_un unix_{};
    socklen_t unix_length_ = 0;
    static inline int count = 0;
  };

  // Runs `body(world)` with a daemon, and ends that.
  template <class Body>
  void With(Body body) {
    Run(Frame(body));
  }
  template <class Body>
  io::Task<absl::Status> Frame(Body& body) {
    io::TaskScope scope;
    World world(*this, scope, Configure());
    UniqueFd policyd_end = world.daemon.AddEdge({.kind = control::EdgeKind::kSmtpdPolicyd});
    UniqueFd qmgr_end = world.daemon.AddEdge({.kind = control::EdgeKind::kSmtpdQmgr});
    policyd_fd = policyd_end.get();
    qmgr_fd = qmgr_end.get();
    ipc::Channel to_policyd(*loop, std::move(policyd_end), protocol::kSmtpdPolicyd, ipc::Side::kB);
    ipc::Channel to_qmgr(*loop, std::move(qmgr_end), protocol::kSmtpdQmgr, ipc::Side::kB);
    policyd.channel = &to_policyd;
    qmgr.channel = &to_qmgr;
    scope.Spawn(to_policyd.Run(policyd));
    scope.Spawn(to_qmgr.Run(qmgr));
    absl::Status ended = co_await world.daemon.Begin(Soon());
    if (ended.ok()) ended = co_await body(*this, world);
    world.daemon.RequestStop();
    co_await scope.Join();
    EXPECT_EQ(world.daemon.WaitForEnd(), 0);
    co_return ended;
  }

 public:
  control::Configure Configure() const {
    control::Configure configure =
        test::ConfigureFor(control::Role::kSmtpd, GetParam(), StrCat("[smtp]\n", smtp));
    for (const auto& account : accounts) configure.configuration.accounts.push_back(account);
    return configure;
  }
  using test::OnBothBackends::loop;
  io::Deadline Soon() const { return loop->After(absl::Seconds(20)); }
  // Plays a script on a connection of its own.
  io::Task<absl::Status> Talk(io::Socket socket, test::ScriptedPeer& peer) {
    co_return co_await peer.Play(socket, Soon());
  }
  static void Mail(test::ScriptedPeer& peer, std::string_view content) {
    peer.ExpectsReply("220");
    peer.Says("EHLO client.example");
    peer.ExpectsReply("250");
    peer.SaysRaw("MAIL FROM:<a@client.example>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n");
    for (const char* reply : {"250", "250", "354"}) peer.ExpectsReply(reply);
    peer.SaysRaw(StrCat(content, ".\r\n"));
    peer.ExpectsReply("250 2.0.0 message accepted as ");
    peer.Says("QUIT");
    peer.ExpectsReply("221");
    peer.ExpectsClose();
  }

  std::string smtp;
  std::vector<control::Account> accounts;
  test::ScriptedPeer* large = nullptr;
  FakePolicyd policyd;
  FakeQmgr qmgr;
  int policyd_fd = -1;
  int qmgr_fd = -1;
};
ON_BOTH_BACKENDS(SmtpdProcess);

TEST_P(SmtpdProcess, MailByTcpReachesTheQueue) {
  With([](SmtpdProcess& t, World& world) -> io::Task<absl::Status> {
    test::ScriptedPeer peer;
    Mail(peer, "Subject: x\r\n\r\nbody\r\n");
    CO_RETURN_IF_ERROR(co_await t.Talk(world.Tcp(), peer));
    while (t.policyd.gone == 0) CO_RETURN_IF_ERROR(co_await t.policyd.changed.Wait(t.Soon()));
    co_return absl::OkStatus();
  });
  ASSERT_THAT(qmgr.committed, SizeIs(1));
  const FakeQmgr::Message& message = qmgr.committed[0];
  EXPECT_EQ(message.content, "Subject: x\r\n\r\nbody\r\n");
  EXPECT_EQ(message.frames, 1u) << "what one receive brought goes in one frame";
  EXPECT_EQ(message.submit.submitter, "127.0.0.1");
  EXPECT_THAT(message.submit.prepend, HasSubstr("from client.example ([127.0.0.1])"));
  ASSERT_THAT(message.recipients, SizeIs(1));
  EXPECT_EQ(policyd.came, 1);
  ASSERT_THAT(policyd.questions, SizeIs(1));
  EXPECT_THAT(policyd.questions[0].local_user, IsEmpty());
}

TEST_P(SmtpdProcess, ByTheUnixSocketTheKernelNamesTheUser) {
  for (const bool known : {true, false}) {
    accounts.clear();
    if (known) accounts.push_back({.name = "walter", .uid = ::getuid()});
    qmgr.committed.clear();
    policyd.questions.clear();
    With([](SmtpdProcess& t, World& world) -> io::Task<absl::Status> {
      test::ScriptedPeer peer;
      Mail(peer, "x\r\n");
      co_return co_await t.Talk(world.Unix(), peer);
    });
    const std::string user = known ? "walter" : StrCat("uid", ::getuid());
    ASSERT_THAT(qmgr.committed, SizeIs(1));
    EXPECT_EQ(qmgr.committed[0].submit.submitter, "user " + user);
    EXPECT_THAT(qmgr.committed[0].submit.prepend, HasSubstr("(local user " + user + ")"));
    ASSERT_THAT(policyd.questions, SizeIs(1));
    EXPECT_EQ(policyd.questions[0].local_user, user);
    EXPECT_THAT(policyd.questions[0].client.octets, IsEmpty());
  }
}

TEST_P(SmtpdProcess, WhoSpeaksFirstIsRefused) {
  smtp = "greeting_delay = \"10s\"\n";
  With([](SmtpdProcess& t, World& world) -> io::Task<absl::Status> {
    test::ScriptedPeer peer;
    peer.SaysRaw("EHLO client.example\r\n");
    peer.ExpectsReply("554 5.5.0");
    peer.ExpectsClose();
    co_return co_await t.Talk(world.Tcp(), peer);
  });
}

TEST_P(SmtpdProcess, ConnectionsBeyondTheLimitAreSentAway) {
  smtp = "max_connections = 2\n";
  With([](SmtpdProcess& t, World& world) -> io::Task<absl::Status> {
    io::Socket first = world.Tcp();
    io::Socket second = world.Unix();
    test::ScriptedPeer greeted;
    greeted.ExpectsReply("220");
    CO_RETURN_IF_ERROR(co_await greeted.Play(first, t.Soon()));
    test::ScriptedPeer too;
    too.ExpectsReply("220");
    CO_RETURN_IF_ERROR(co_await too.Play(second, t.Soon()));
    test::ScriptedPeer refused;
    refused.ExpectsReply("421 4.3.2 too many connections");
    refused.ExpectsClose();
    CO_RETURN_IF_ERROR(co_await t.Talk(world.Tcp(), refused));
    test::ScriptedPeer leaves;
    leaves.Says("QUIT");
    leaves.ExpectsReply("221");
    leaves.ExpectsClose();
    CO_RETURN_IF_ERROR(co_await leaves.Play(first, t.Soon()));
    while (t.policyd.gone == 0) CO_RETURN_IF_ERROR(co_await t.policyd.changed.Wait(t.Soon()));
    test::ScriptedPeer next;
    Mail(next, "x\r\n");
    co_return co_await t.Talk(world.Tcp(), next);
  });
}

TEST_P(SmtpdProcess, LargeContentFlowsByCredit) {
  const std::string line = std::string(998, 'x') + "\r\n";
  std::string content;
  for (int i = 0; i < 3000; ++i) content += line;
  test::ScriptedPeer peer;
  Mail(peer, content);
  large = &peer;
  With([](SmtpdProcess& t, World& world) -> io::Task<absl::Status> {
    co_return co_await t.Talk(world.Tcp(), *t.large);
  });
  ASSERT_THAT(qmgr.committed, SizeIs(1));
  EXPECT_TRUE(qmgr.committed[0].content == content);
}

TEST_P(SmtpdProcess, AQueueThatGoesAwayDefersWhatItHad) {
  With([](SmtpdProcess& t, World& world) -> io::Task<absl::Status> {
    test::ScriptedPeer peer;
    peer.ExpectsReply("220");
    peer.Says("EHLO client.example");
    peer.ExpectsReply("250");
    peer.SaysRaw("MAIL FROM:<a@client.example>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n");
    for (const char* reply : {"250", "250", "354"}) peer.ExpectsReply(reply);
    peer.SaysRaw("half of it\r\n");
    peer.Does([&t] { ::shutdown(t.qmgr_fd, SHUT_RDWR); });
    peer.SaysRaw("the rest\r\n.\r\n");
    peer.ExpectsReply("451 4.3.0");
    peer.SaysRaw("MAIL FROM:<a@client.example>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n");
    for (const char* reply : {"250", "250", "451 4.3.0"}) peer.ExpectsReply(reply);
    co_return co_await t.Talk(world.Tcp(), peer);
  });
  EXPECT_THAT(qmgr.committed, IsEmpty());
}

TEST_P(SmtpdProcess, WithoutPolicydClientsAreSentAwayForNow) {
  With([](SmtpdProcess& t, World& world) -> io::Task<absl::Status> {
    test::ScriptedPeer before;
    before.ExpectsReply("220");
    CO_RETURN_IF_ERROR(co_await t.Talk(world.Tcp(), before));
    ::shutdown(t.policyd_fd, SHUT_RDWR);
    test::ScriptedPeer peer;
    peer.ExpectsReply("421 4.3.0");
    peer.ExpectsClose();
    co_return co_await t.Talk(world.Tcp(), peer);
  });
}

TEST_P(SmtpdProcess, AListenerThatGoesKeepsItsSessions) {
  With([](SmtpdProcess& t, World& world) -> io::Task<absl::Status> {
    io::Socket kept = world.Tcp();
    test::ScriptedPeer greeted;
    greeted.ExpectsReply("220");
    CO_RETURN_IF_ERROR(co_await greeted.Play(kept, t.Soon()));
    world.daemon.RemoveListener("tcp");
    const io::Deadline until = t.Soon();
    for (bool gone = false; !gone;) {
      gone = !world.Reaches();
      CO_RETURN_IF_ERROR(co_await io::Sleep(t.loop->After(absl::Milliseconds(1))));
      if (t.loop->Now() > until) co_return DeadlineExceeded("the listener is still there");
    }
    test::ScriptedPeer other;
    Mail(other, "x\r\n");
    CO_RETURN_IF_ERROR(co_await t.Talk(world.Unix(), other));
    test::ScriptedPeer goes_on;
    goes_on.Says("NOOP");
    goes_on.ExpectsReply("250");
    co_return co_await goes_on.Play(kept, t.Soon());
  });
}

TEST_P(SmtpdProcess, AReloadHoldsForSessionsUnderWay) {
  With([](SmtpdProcess& t, World& world) -> io::Task<absl::Status> {
    io::Socket kept = world.Tcp();
    test::ScriptedPeer before;
    before.ExpectsReply("220");
    before.Says("EHLO client.example");
    before.ExpectsReply("250 LIMITS RCPTMAX=1000 MAILMAX=1000");
    CO_RETURN_IF_ERROR(co_await before.Play(kept, t.Soon()));
    t.smtp = "max_recipients = 1\n";
    CO_ASSIGN_OR_RETURN(const auto reloaded,
                        co_await world.daemon.Reload(t.Configure().configuration, t.Soon()));
    EXPECT_EQ(reloaded.error, "");
    test::ScriptedPeer after;
    after.SaysRaw("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nRCPT TO:<b@example.org>\r\n");
    for (const char* reply : {"250", "250", "452 4.5.3"}) after.ExpectsReply(reply);
    after.Says("EHLO client.example");
    after.ExpectsReply("250 LIMITS RCPTMAX=1 MAILMAX=1000");
    co_return co_await after.Play(kept, t.Soon());
  });
}

TEST_P(SmtpdProcess, AStopTellsIdleClientsAndFinishesMessages) {
  With([](SmtpdProcess& t, World& world) -> io::Task<absl::Status> {
    io::Socket idle = world.Tcp();
    io::Socket busy = world.Tcp();
    test::ScriptedPeer waits;
    waits.ExpectsReply("220");
    CO_RETURN_IF_ERROR(co_await waits.Play(idle, t.Soon()));
    test::ScriptedPeer peer;
    peer.ExpectsReply("220");
    peer.Says("EHLO client.example");
    peer.ExpectsReply("250");
    peer.SaysRaw("MAIL FROM:<a@client.example>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n");
    for (const char* reply : {"250", "250", "354"}) peer.ExpectsReply(reply);
    peer.Does([&world] { world.daemon.RequestStop(); });
    CO_RETURN_IF_ERROR(co_await peer.Play(busy, t.Soon()));
    test::ScriptedPeer told;
    told.ExpectsReply("421 4.3.2");
    told.ExpectsClose();
    CO_RETURN_IF_ERROR(co_await told.Play(idle, t.Soon()));
    test::ScriptedPeer finishes;
    finishes.SaysRaw("to its end\r\n.\r\n");
    finishes.ExpectsReply("250 2.0.0");
    finishes.ExpectsReply("421 4.3.2");
    finishes.ExpectsClose();
    co_return co_await finishes.Play(busy, t.Soon());
  });
  EXPECT_THAT(qmgr.committed, SizeIs(1));
}

}  // namespace
}  // namespace postern::smtpd
