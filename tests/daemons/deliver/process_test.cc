// The daemon itself, confined as ever: this test is its master and its locald.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <vector>

#include "common/ipc/protocol/locald_deliver.h"
#include "tests/daemons/started_daemon.h"
#include "tests/testing/run_in_loop.h"

namespace postern::deliver {
namespace {

namespace control = protocol::control;
namespace mailbox = protocol::mailbox;
using protocol::delivery::Outcome;

std::string Slurp(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

// Keeps the answers, by conversation.
class Answers final : public ipc::FrameHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override {
    ASSIGN_OR_RETURN(by_id[frame.id], ipc::DecodeFrame<mailbox::Delivered>(frame));
    changed.Wake();
    return absl::OkStatus();
  }
  std::map<uint32_t, mailbox::Delivered> by_id;
  io::Event changed;
};

class DeliverProcess : public test::OnBothBackends {
 protected:
  void SetUp() override {
    test::OnBothBackends::SetUp();
    if (IsSkipped()) return;
    if (test::kSanitized) GTEST_SKIP() << "built with a sanitizer";
    char name[] = "/tmp/postern-deliver-XXXXXX";  // 0700: no way through for the user below
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory = name;
    std::filesystem::create_directory(directory / "mail");
  }
  void TearDown() override {
    if (!directory.empty()) std::filesystem::remove_all(directory);
  }

  control::Configure Configure(std::string_view format) {
    control::Configure configure = test::ConfigureFor(
        control::Role::kDeliver, GetParam(),
        StrCat("root = \"", directory.native(), "\"\n[local]\nformat = \"", format, "\"\n"));
    configure.configuration.accounts = {{.name = "alice",
                                         .uid = ::getuid(),
                                         .gid = ::getgid(),
                                         .home = directory,
                                         .mailbox = directory / "mail" / "alice"}};
    return configure;
  }

  static mailbox::Deliver Order(std::string_view content) {
    mailbox::Deliver order;
    order.sender = "a@example.net";
    order.recipient = "alice@example.org";
    order.inline_content = content;
    order.content_octets = content.size();
    return order;
  }

  // Gives it `count` copies of the order at once and waits for the answers.
  io::Task<absl::Status> Ask(control::Configure configure, mailbox::Deliver order, int count,
                             UniqueFd descriptor, std::vector<mailbox::Delivered>& answers) {
    const io::Deadline until = loop->After(absl::Seconds(20));
    io::TaskScope scope;
    Answers handler;
    test::StartedDaemon daemon(*loop, scope, POSTERN_DELIVER, configure);
    control::EdgeEnd which;
    which.kind = control::EdgeKind::kLocaldDeliver;
    ipc::Channel channel(*loop, daemon.AddEdge(which), protocol::kLocaldDeliver, ipc::Side::kA);
    absl::Status ended = co_await daemon.Begin(until);
    scope.Spawn(channel.Run(handler));
    for (int i = 0; i < count && ended.ok(); ++i)
      ended = channel.Send(channel.NewId(), order, std::move(descriptor));
    while (ended.ok() && handler.by_id.size() < static_cast<size_t>(count))
      ended = co_await handler.changed.Wait(until);
    channel.Close();
    for (auto& [id, answer] : handler.by_id) answers.push_back(std::move(answer));
    daemon.RequestStop();
    co_await scope.Join();
    EXPECT_EQ(daemon.WaitForEnd(), 0);
    co_return ended;
  }

  std::vector<mailbox::Delivered> AskAll(const control::Configure& configure,
                                         const mailbox::Deliver& order, int count,
                                         UniqueFd descriptor = {}) {
    std::vector<mailbox::Delivered> answers;
    Run(Ask(configure, order, count, std::move(descriptor), answers));
    EXPECT_EQ(answers.size(), static_cast<size_t>(count));
    return answers;
  }
  size_t FilesIn(const std::filesystem::path& where) const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(where),
                                             std::filesystem::directory_iterator()));
  }

  std::filesystem::path directory;
};
ON_BOTH_BACKENDS(DeliverProcess);

TEST_P(DeliverProcess, StoresManyMessagesAtOnceInAMaildirItMakes) {
  for (const auto& answer : AskAll(Configure("maildir"), Order("Subject: x\r\n\r\nbody\r\n"), 50)) {
    EXPECT_EQ(answer.outcome, Outcome::kDelivered) << answer.diagnostic;
    EXPECT_EQ(answer.status, "2.0.0");
  }
  const std::filesystem::path maildir = directory / "mail" / "alice";
  EXPECT_EQ(FilesIn(maildir / "new"), 50u);
  EXPECT_EQ(FilesIn(maildir / "tmp"), 0u);
  struct stat about;
  ASSERT_EQ(::stat(maildir.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700u);
}

TEST_P(DeliverProcess, StoresMessagesInAnMbox) {
  for (const auto& answer : AskAll(Configure("mbox"), Order("Subject: x\r\n\r\nFrom you\r\n"), 3))
    EXPECT_EQ(answer.outcome, Outcome::kDelivered) << answer.diagnostic;
  const std::string text = Slurp(directory / "mail" / "alice");
  size_t quoted = 0;
  for (size_t at = text.find("\n>From you\n"); at != std::string::npos;
       at = text.find("\n>From you\n", at + 1))
    ++quoted;
  EXPECT_EQ(quoted, 3u) << text;
}

TEST_P(DeliverProcess, ReadsLargeContentFromItsDescriptor) {
  std::string line(998, 'x');
  line += "\r\n";
  std::string content = "Subject: large\r\nReturn-Path: <forged@example.net>\r\n\r\n";
  while (content.size() < 3u << 20) content += line;
  std::ofstream(directory / "content", std::ios::binary) << "skipped" << content;
  mailbox::Deliver order = Order("Received: here\r\n");
  order.content_offset = 7;
  order.content_octets = content.size();
  const auto answers = AskAll(Configure("maildir"), order, 1,
                              UniqueFd(::open((directory / "content").c_str(), O_RDONLY)));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].outcome, Outcome::kDelivered) << answers[0].diagnostic;
  const std::string stored =
      Slurp(std::filesystem::directory_iterator(directory / "mail" / "alice" / "new")->path());
  const std::string expected_start =
      "Return-Path: <a@example.net>\nDelivered-To: alice@example.org\nReceived: here\nSubject: "
      "large\n\nxxx";
  EXPECT_EQ(stored.substr(0, expected_start.size()), expected_start);
  EXPECT_TRUE(stored.ends_with("xxx\n"));
  EXPECT_EQ(stored.find("forged"), std::string::npos);
  EXPECT_EQ(stored.find('\r'), std::string::npos);
}

TEST_P(DeliverProcess, DefersWhatCameWithoutItsContent) {
  mailbox::Deliver order = Order("Received: here\r\n");
  order.content_octets = 2u << 20;
  const auto answers = AskAll(Configure("maildir"), order, 1);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].outcome, Outcome::kDeferred);
  EXPECT_EQ(answers[0].status, "4.3.0");
  EXPECT_EQ(FilesIn(directory / "mail" / "alice" / "new"), 0u);
  EXPECT_EQ(FilesIn(directory / "mail" / "alice" / "tmp"), 0u);
}

TEST_P(DeliverProcess, SaysWhyThereIsNoMailboxAndEnds) {
  std::ofstream(directory / "mail" / "alice") << "in the way";
  const auto answers = AskAll(Configure("maildir"), Order("x\r\n"), 1);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].outcome, Outcome::kDeferred);
  EXPECT_EQ(answers[0].status, "4.3.0");
  EXPECT_NE(answers[0].diagnostic.find("Not a directory"), std::string::npos)
      << answers[0].diagnostic;
}

// A size limit stands for a full disk: the write of one message fails, and its neighbours' do not.
TEST_P(DeliverProcess, WhatDoesNotFitIsDeferredAndLeavesNothing) {
  struct rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const std::string content = "Subject: x\r\n\r\n" + std::string(8192, 'x') + "\r\n";
  for (const char* format : {"maildir", "mbox"}) {
    const struct rlimit low = {4096, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);  // inherited by the process
    const auto answers = AskAll(Configure(format), Order(content), 2);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    for (const auto& answer : answers) {
      EXPECT_EQ(answer.outcome, Outcome::kDeferred) << format;
      EXPECT_EQ(answer.status, "4.2.2") << format << answer.diagnostic;
    }
    const std::filesystem::path path = directory / "mail" / "alice";
    if (std::string_view(format) == "maildir") {
      EXPECT_EQ(FilesIn(path / "new"), 0u);
      EXPECT_EQ(FilesIn(path / "tmp"), 0u);
    } else {
      EXPECT_EQ(std::filesystem::file_size(path), 0u);
    }
    std::filesystem::remove_all(path);
  }
}

// As under a master that is root: the user cannot walk to its mailbox, and has it all the same.
TEST_P(DeliverProcess, WritesAsTheUserBelowADirectoryClosedToIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  constexpr uid_t kUser = 64201;
  const std::filesystem::path maildir = directory / "mail" / "alice";
  std::filesystem::create_directory(maildir);
  ASSERT_EQ(::chown(maildir.c_str(), kUser, kUser), 0);
  control::Configure configure = Configure("maildir");
  configure.drop_ids = true;
  configure.uid = configure.gid = kUser;
  const auto answers = AskAll(configure, Order("x\r\n"), 1);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].outcome, Outcome::kDelivered) << answers[0].diagnostic;
  ASSERT_EQ(FilesIn(maildir / "new"), 1u);
  struct stat about;
  ASSERT_EQ(::stat(std::filesystem::directory_iterator(maildir / "new")->path().c_str(), &about),
            0);
  EXPECT_EQ(about.st_uid, kUser);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
}

}  // namespace
}  // namespace postern::deliver
