// The daemon itself, confined as ever, on spools of its own: this test is its master, smtpd, smtpc
// and the operator.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "common/base/queue_id.h"
#include "common/ipc/protocol/admin.h"
#include "common/ipc/protocol/qmgr_smtpc.h"
#include "common/ipc/protocol/smtpd_qmgr.h"
#include "tests/daemons/qmgr/talker.h"
#include "tests/daemons/started_daemon.h"
#include "tests/testing/run_in_loop.h"

namespace postern::qmgr {
namespace {

namespace admin = protocol::admin;
namespace control = protocol::control;
namespace delivery = protocol::delivery;
namespace submission = protocol::submission;

constexpr uint8_t kOrigin = 3;

class QmgrProcess : public test::OnBothBackends {
 protected:
  void SetUp() override {
    test::OnBothBackends::SetUp();
    if (test::kSanitized) GTEST_SKIP() << "a sanitizer makes calls that no profile allows";
    char path[] = "/tmp/postern-qmgr-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    root = path;
    for (const char* shard : {"/a", "/b"}) {
      std::filesystem::create_directory(root + shard);
      std::filesystem::permissions(root + shard, std::filesystem::perms::owner_all);
    }
  }
  void TearDown() override {
    if (!root.empty()) std::filesystem::remove_all(root);
  }
  control::Configure Configure(uint32_t shard) const {
    control::Configure configure =
        test::ConfigureFor(control::Role::kQmgr, GetParam(),
                           StrCat("root = \"", root, "\"\n[queue]\ndirectories = [\"", root,
                                  "/a\", \"", root, "/b\"]\ninline_octets = \"16KiB\"\n"));
    configure.index = shard;
    return configure;
  }
  std::string root;
};

uint64_t IdOf(uint16_t n) { return QueueId::Of(1'767'225'600'000, kOrigin, n).value(); }

io::Task<absl::StatusOr<submission::Done>> Deposit(Talker& smtpd, uint64_t id,
                                                   std::string_view content) {
  submission::Submit submit;
  submit.queue_id = id;
  submit.sender = "sender@example.org";
  submit.submitter = "192.0.2.1";
  submission::Recipients recipients;
  recipients.recipients.push_back({.address = "a@example.net"});
  const uint32_t stream = smtpd.NewId();
  CO_RETURN_IF_ERROR(smtpd.Send(stream, submit));
  CO_RETURN_IF_ERROR(smtpd.Send(stream, recipients));
  while (!content.empty()) {
    const submission::Content piece{.bytes = content.substr(0, protocol::kMaxContentPiece)};
    CO_RETURN_IF_ERROR(smtpd.Send(stream, piece));
    content.remove_prefix(piece.bytes.size());
  }
  CO_RETURN_IF_ERROR(smtpd.Send(stream, submission::End{}));
  CO_ASSIGN_OR_RETURN(auto done, co_await smtpd.Receive<submission::Done>());
  co_return std::move(done.message);
}

struct JobCopy {
  static constexpr uint8_t kType = delivery::kJob;
  uint64_t queue_id = 0;
  uint64_t octets = 0;
  std::string content;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    delivery::Job job;
    delivery::Job::Fields(v, job);
    m.queue_id = job.queue_id;
    m.octets = job.content_octets;
    m.content = std::string(job.inline_content);
  }
};

control::EdgeEnd EdgeTo(control::EdgeKind kind) {
  return {.kind = kind, .peer_index = 0, .peer_origin = kOrigin};
}

const std::string& Large() {
  static const std::string large(100u << 10, 'L');
  return large;
}

io::Task<absl::Status> TakeIn(io::Loop& loop, const control::Configure& configure, uint16_t first,
                              bool killed) {
  const io::Deadline until = loop.After(absl::Seconds(20));
  io::TaskScope scope;
  test::StartedDaemon qmgr(loop, scope, POSTERN_QMGR, configure);
  Talker smtpd(loop, scope, qmgr.AddEdge(EdgeTo(control::EdgeKind::kSmtpdQmgr)),
               protocol::kSmtpdQmgr, ipc::Side::kA);
  absl::Status status = co_await qmgr.Begin(until);
  if (status.ok()) {
    const auto small = co_await Deposit(smtpd, IdOf(first), "small\r\n");
    const auto large = co_await Deposit(smtpd, IdOf(first + 1), Large());
    EXPECT_TRUE(small.ok() && small->outcome == submission::Outcome::kCommitted);
    EXPECT_TRUE(large.ok() && large->outcome == submission::Outcome::kCommitted);
  }
  killed ? static_cast<void>(::kill(qmgr.pid(), SIGKILL)) : qmgr.RequestStop();
  co_await scope.Join();
  const int ended = qmgr.WaitForEnd();
  EXPECT_EQ(ended, killed ? SIGKILL : 0);
  co_return status;
}

// Everything that the shard has goes out once, and the shard is empty then.
io::Task<absl::Status> GiveOut(io::Loop& loop, const control::Configure& configure,
                               std::vector<uint64_t>& ids) {
  const io::Deadline until = loop.After(absl::Seconds(20));
  io::TaskScope scope;
  test::StartedDaemon qmgr(loop, scope, POSTERN_QMGR, configure);
  Talker smtpc(loop, scope, qmgr.AddEdge(EdgeTo(control::EdgeKind::kQmgrSmtpc)),
               protocol::kQmgrSmtpc, ipc::Side::kB);
  absl::Status status = co_await qmgr.Begin(until);
  if (status.ok()) status = smtpc.Send(smtpc.NewId(), delivery::Capacity{.jobs = 10});
  for (int i = 0; i < 2 && status.ok(); ++i) {
    auto job = co_await smtpc.Receive<JobCopy>();
    status = job.status();
    if (!status.ok()) break;
    ids.push_back(job->message.queue_id);
    std::string content = job->message.content;
    if (job->descriptor) {
      content.resize(job->message.octets + 1);
      content.resize(static_cast<size_t>(
          std::max<ssize_t>(0, ::pread(job->descriptor.get(), content.data(), content.size(), 0))));
      char c = 'x';
      EXPECT_LT(::write(job->descriptor.get(), &c, 1), 0) << "the worker must not change it";
    }
    EXPECT_TRUE(content == "small\r\n" || content == Large());
    delivery::Results results;
    results.results.push_back({.index = 0,
                               .outcome = delivery::Outcome::kDelivered,
                               .status = "2.0.0",
                               .diagnostic = "250 ok"});
    status = smtpc.Send(job->id, results);
    if (status.ok()) status = smtpc.Send(job->id, delivery::JobDone{});
  }
  // What is in the socket by now is still taken before the end.
  IgnoreStatus(co_await io::Sleep(loop.After(absl::Milliseconds(100))), "a pause");
  qmgr.RequestStop();
  co_await scope.Join();
  EXPECT_EQ(qmgr.WaitForEnd(), 0);
  co_return status;
}

io::Task<absl::Status> FindNothing(io::Loop& loop, const control::Configure& configure) {
  const io::Deadline until = loop.After(absl::Seconds(20));
  io::TaskScope scope;
  test::StartedDaemon qmgr(loop, scope, POSTERN_QMGR, configure);
  Talker smtpc(loop, scope, qmgr.AddEdge(EdgeTo(control::EdgeKind::kQmgrSmtpc)),
               protocol::kQmgrSmtpc, ipc::Side::kB);
  absl::Status status = co_await qmgr.Begin(until);
  if (status.ok()) status = smtpc.Send(smtpc.NewId(), delivery::Capacity{.jobs = 10});
  IgnoreStatus(co_await io::Sleep(loop.After(absl::Milliseconds(100))), "a pause");
  EXPECT_EQ(smtpc.Waiting<JobCopy>(), 0u);
  qmgr.RequestStop();
  co_await scope.Join();
  EXPECT_EQ(qmgr.WaitForEnd(), 0);
  co_return status;
}

TEST_P(QmgrProcess, EachShardGivesOutWhatItTookAfterAStopAndAfterAKill) {
  for (const uint32_t shard : {0u, 1u}) {
    const control::Configure configure = Configure(shard);
    const auto first = static_cast<uint16_t>(10 * shard + 1);
    Run(TakeIn(*loop, configure, first, shard == 1));
    std::vector<uint64_t> ids;
    Run(GiveOut(*loop, configure, ids));
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(ids, (std::vector<uint64_t>{IdOf(first), IdOf(first + 1)}));
    Run(FindNothing(*loop, configure));
    EXPECT_TRUE(std::filesystem::is_empty(root + (shard == 0 ? "/a" : "/b") + "/content"));
  }
}

ON_BOTH_BACKENDS(QmgrProcess);

}  // namespace
}  // namespace postern::qmgr
