// The daemons themselves, confined as ever: this test is master and qmgr of a locald, which has
// real `deliver` processes write real mailboxes.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <vector>

#include "common/ipc/protocol/qmgr_locald.h"
#include "tests/daemons/started_daemon.h"
#include "tests/testing/run_in_loop.h"

namespace postern::locald {
namespace {

namespace control = protocol::control;
namespace delivery = protocol::delivery;
using delivery::Outcome;

class FakeQmgr final : public ipc::FrameHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override {
    if (frame.type == delivery::kCapacity) {
      ASSIGN_OR_RETURN(const auto message, ipc::DecodeFrame<delivery::Capacity>(frame));
      capacity = message.jobs;
    } else if (frame.type == delivery::kResults) {
      ASSIGN_OR_RETURN(auto message, ipc::DecodeFrame<delivery::Results>(frame));
      for (delivery::Result& result : message.results)
        results[frame.id][result.index] = std::move(result);
    } else {
      ASSIGN_OR_RETURN(const auto message, ipc::DecodeFrame<delivery::JobDone>(frame));
      EXPECT_EQ(message.destination, delivery::Destination::kHealthy);
      ++done;
    }
    changed.Wake();
    return absl::OkStatus();
  }
  uint32_t capacity = 0;
  size_t done = 0;
  std::map<uint32_t, std::map<uint32_t, delivery::Result>> results;  // by job and recipient
  io::Event changed;
};

delivery::Job JobFor(const std::vector<std::string>& recipients, std::string_view content) {
  delivery::Job job;
  job.transport = delivery::Transport::kLocal;
  job.queue_id = 1;
  job.sender = "a@example.net";
  job.inline_content = content;
  job.content_octets = content.size();
  for (size_t i = 0; i < recipients.size(); ++i) {
    job.recipients.push_back({.index = static_cast<uint32_t>(i + 10),
                              .address = recipients[i],
                              .orcpt = {},
                              .notify = 0});
  }
  return job;
}

class LocaldProcess : public test::OnBothBackends {
 public:
  io::Deadline Soon() const { return loop->After(absl::Seconds(20)); }

 protected:
  void SetUp() override {
    test::OnBothBackends::SetUp();
    if (IsSkipped()) return;
    if (test::kSanitized) GTEST_SKIP() << "built with a sanitizer";
    char name[] = "/tmp/postern-locald-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory = name;
    std::filesystem::create_directory(directory / "mail");
  }
  void TearDown() override {
    if (!directory.empty()) std::filesystem::remove_all(directory);
  }

  control::Configure Configure(control::Role role, const std::vector<std::string>& users) {
    control::Configure configure = test::ConfigureFor(
        role, GetParam(),
        StrCat("root = \"", directory.native(), "\"\n[local]\nusers = [\"alice\", \"bob\"]\n"));
    for (const std::string& user : users) {
      configure.configuration.accounts.push_back({.name = user,
                                                  .uid = ::getuid(),
                                                  .gid = ::getgid(),
                                                  .home = directory,
                                                  .mailbox = directory / "mail" / user});
    }
    return configure;
  }

  // What master does when it is asked for a process.
  UniqueFd StartDeliver(io::TaskScope& scope, const std::string& user) {
    auto& daemon = delivers.emplace_back(std::make_unique<test::StartedDaemon>(
        *loop, scope, POSTERN_DELIVER, Configure(control::Role::kDeliver, {user})));
    control::EdgeEnd which;
    which.kind = control::EdgeKind::kLocaldDeliver;
    UniqueFd end = daemon->AddEdge(which);
    daemon->SendBegin();
    return end;
  }

  // Gives locald the jobs, all at once, and collects its reports.
  io::Task<absl::Status> Ask(std::vector<delivery::Job> jobs, std::string content_file,
                             FakeQmgr& qmgr) {
    io::TaskScope scope;
    test::StartedDaemon locald(*loop, scope, POSTERN_LOCALD,
                               Configure(control::Role::kLocald, {"alice", "bob"}));
    locald.set_make_deliver(
        [this, &scope](const std::string& user) { return StartDeliver(scope, user); });
    control::EdgeEnd which;
    which.kind = control::EdgeKind::kQmgrLocald;
    ipc::Channel channel(*loop, locald.AddEdge(which), protocol::kQmgrLocald, ipc::Side::kA);
    scope.Spawn(channel.Run(qmgr));
    absl::Status ended = co_await locald.Begin(Soon());
    while (ended.ok() && qmgr.capacity == 0) ended = co_await qmgr.changed.Wait(Soon());
    for (const delivery::Job& job : jobs) {
      UniqueFd descriptor;
      if (!content_file.empty()) descriptor.reset(::open(content_file.c_str(), O_RDONLY));
      if (ended.ok()) ended = channel.Send(channel.NewId(), job, std::move(descriptor));
    }
    while (ended.ok() && qmgr.done < jobs.size()) ended = co_await qmgr.changed.Wait(Soon());
    locald.RequestStop();
    co_await scope.Join();
    EXPECT_EQ(locald.WaitForEnd(), 0);
    for (const auto& deliver : delivers) EXPECT_EQ(deliver->WaitForEnd(), 0);
    co_return ended;
  }

  size_t MessagesOf(const char* user) const {
    size_t count = 0;
    const std::filesystem::path fresh = directory / "mail" / user / "new";
    if (!std::filesystem::exists(fresh)) return 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(fresh)) ++count;
    return count;
  }

  std::filesystem::path directory;
  std::vector<std::unique_ptr<test::StartedDaemon>> delivers;
};
ON_BOTH_BACKENDS(LocaldProcess);

TEST_P(LocaldProcess, EachRecipientHasAResultOfItsOwn) {
  FakeQmgr qmgr;
  Run(Ask({JobFor({"alice@example.org", "ALICE+x@example.org", "bob@example.org",
                   "gone@example.org", "postmaster"},
                  "Subject: x\r\n\r\nbody\r\n")},
          {}, qmgr));
  EXPECT_GT(qmgr.capacity, 0u);
  ASSERT_EQ(qmgr.results.size(), 1u);
  std::map<uint32_t, delivery::Result>& results = qmgr.results.begin()->second;
  ASSERT_EQ(results.size(), 5u);
  for (const uint32_t delivered : {10u, 11u, 12u, 14u}) {
    EXPECT_EQ(results[delivered].outcome, Outcome::kDelivered) << results[delivered].diagnostic;
    EXPECT_EQ(results[delivered].status, "2.0.0");
  }
  EXPECT_EQ(results[13].outcome, Outcome::kFailed);
  EXPECT_EQ(results[13].status, "5.1.1");
  EXPECT_EQ(MessagesOf("alice"), 3u) << "postmaster is the first of local.users";
  EXPECT_EQ(MessagesOf("bob"), 1u);
  EXPECT_EQ(delivers.size(), 2u);
}

TEST_P(LocaldProcess, OneDescriptorServesSeveralRecipients) {
  const std::string content = "Subject: x\r\n\r\n" + std::string(600 << 10, 'y') + "\r\n";
  std::ofstream(directory / "content", std::ios::binary) << content;
  delivery::Job job = JobFor({"alice@example.org", "bob@example.org"}, "Received: here\r\n");
  job.content_octets = content.size();
  FakeQmgr qmgr;
  Run(Ask({job}, directory / "content", qmgr));
  for (const char* user : {"alice", "bob"}) {
    ASSERT_EQ(MessagesOf(user), 1u);
    const auto file = std::filesystem::directory_iterator(directory / "mail" / user / "new");
    const std::string front =
        StrCat("Return-Path: <a@example.net>\nDelivered-To: ", std::string_view(user),
               "@example.org\nReceived: here\n");
    EXPECT_EQ(file->file_size(), front.size() + content.size() - 3) << "each CRLF is a LF";
  }
}

TEST_P(LocaldProcess, ManyJobsAtOnceAreAllStored) {
  std::vector<delivery::Job> jobs(100, JobFor({"alice@example.org"}, "x\r\n"));
  FakeQmgr qmgr;
  Run(Ask(jobs, {}, qmgr));
  EXPECT_EQ(MessagesOf("alice"), 100u);
  EXPECT_EQ(delivers.size(), 1u);
}

TEST_P(LocaldProcess, AMailboxThatCannotBeOpenedDefersWithItsReason) {
  std::ofstream(directory / "mail" / "bob") << "in the way";
  FakeQmgr qmgr;
  Run(Ask({JobFor({"alice@example.org", "bob@example.org"}, "x\r\n")}, {}, qmgr));
  std::map<uint32_t, delivery::Result>& results = qmgr.results.begin()->second;
  EXPECT_EQ(results[10].outcome, Outcome::kDelivered) << results[10].diagnostic;
  EXPECT_EQ(results[11].outcome, Outcome::kDeferred);
  EXPECT_EQ(results[11].status, "4.3.0");
  EXPECT_NE(results[11].diagnostic.find("Not a directory"), std::string::npos)
      << results[11].diagnostic;
}

}  // namespace
}  // namespace postern::locald
