#include "daemons/deliver/mailbox.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/io/scope.h"
#include "tests/testing/frame_size.h"
#include "tests/testing/run_in_loop.h"

namespace postern::deliver {
namespace {

class Mailboxes : public test::OnBothBackends {
 protected:
  void SetUp() override {
    test::OnBothBackends::SetUp();
    if (IsSkipped()) return;
    char name[] = "/tmp/postern-mailbox-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory = name;
    parent = UniqueFd(::open(name, O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override {
    if (!directory.empty()) std::filesystem::remove_all(directory);
  }
  std::filesystem::path directory;
  UniqueFd parent;
};
ON_BOTH_BACKENDS(Mailboxes);

std::string Slurp(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

io::Task<absl::Status> StoreOne(Mailbox& mailbox, std::string content, absl::Status& stored) {
  protocol::mailbox::Deliver order;
  order.sender = "a@example.org";
  order.recipient = "b@example.org";
  order.inline_content = content;
  order.content_octets = content.size();
  Source source(order, UniqueFd());
  stored = co_await mailbox.Store(source, order.sender);
  co_return absl::OkStatus();
}

io::Task<absl::Status> StoreMany(Mailbox& mailbox, int count) {
  std::vector<absl::Status> stored(static_cast<size_t>(count));
  io::TaskScope scope;
  for (int i = 0; i < count; ++i)
    scope.Spawn(StoreOne(mailbox, "Subject: " + std::to_string(i) + "\r\n\r\nbody\r\n",
                         stored[static_cast<size_t>(i)]));
  co_await scope.Join();
  for (const absl::Status& one : stored) CO_RETURN_IF_ERROR(one);
  co_return absl::OkStatus();
}

TEST_P(Mailboxes, AMaildirHoldsEveryMessageWholeAndNothingIsLeftInTmp) {
  auto opened = OpenMailboxAt(parent.get(), "mail", Format::kMaildir, "host/with:odd");
  ASSERT_TRUE(opened.ok()) << opened.status();
  Run(StoreMany(*opened->mailbox, 20));
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory / "mail" / "new")) {
    ++files;
    const std::string text = Slurp(entry.path());
    EXPECT_TRUE(
        text.starts_with("Return-Path: <a@example.org>\nDelivered-To: b@example.org\nSubject: "))
        << text;
    EXPECT_TRUE(text.ends_with("\n\nbody\n")) << text;
  }
  EXPECT_EQ(files, 20);
  EXPECT_TRUE(std::filesystem::is_empty(directory / "mail" / "tmp"));
}

TEST_P(Mailboxes, AMailboxThatCannotBeWrittenIsAnErrorAndLeavesNothing) {
  auto opened = OpenMailboxAt(parent.get(), "mail", Format::kMaildir, "host");
  ASSERT_TRUE(opened.ok()) << opened.status();
  std::filesystem::remove_all(directory / "mail" / "tmp");
  absl::Status stored;
  Run(StoreOne(*opened->mailbox, "x\r\n", stored));
  EXPECT_FALSE(stored.ok());
  EXPECT_TRUE(std::filesystem::is_empty(directory / "mail" / "new"));
}

TEST_P(Mailboxes, AnMboxGetsMessagesOneBehindTheOther) {
  auto opened = OpenMailboxAt(parent.get(), "mbox", Format::kMbox, "host");
  ASSERT_TRUE(opened.ok()) << opened.status();
  Run(StoreMany(*opened->mailbox, 5));
  const std::string text = Slurp(directory / "mbox");
  size_t from_lines = 0;
  for (size_t at = text.find("From a@example.org "); at != std::string::npos;
       at = text.find("\nFrom a@example.org ", at + 1))
    ++from_lines;
  EXPECT_EQ(from_lines, 5u) << text;
  EXPECT_TRUE(text.ends_with("body\n\n"));
}

TEST_P(Mailboxes, AnMboxWithASecondNameOrBehindALinkIsRefused) {
  std::ofstream(directory / "real") << "";
  std::filesystem::create_hard_link(directory / "real", directory / "hard");
  std::filesystem::create_symlink("real", directory / "soft");
  EXPECT_FALSE(OpenMailboxAt(parent.get(), "hard", Format::kMbox, "host").ok());
  EXPECT_FALSE(OpenMailboxAt(parent.get(), "soft", Format::kMbox, "host").ok());
}

TEST_P(Mailboxes, WhatIsMissingOfAMaildirIsMadeForItsOwnerAlone) {
  std::filesystem::create_directories(directory / "mail" / "cur");
  ASSERT_TRUE(OpenMailboxAt(parent.get(), "mail", Format::kMaildir, "host").ok());
  for (const char* part : {"tmp", "new"}) {
    struct stat about;
    ASSERT_EQ(::stat((directory / "mail" / part).c_str(), &about), 0) << part;
    EXPECT_EQ(about.st_mode & 0777, 0700u) << part;
  }
}

TEST_P(Mailboxes, AMaildirBehindALinkIsRefused) {
  std::filesystem::create_directory(directory / "elsewhere");
  std::filesystem::create_directory_symlink("elsewhere", directory / "mail");
  EXPECT_FALSE(OpenMailboxAt(parent.get(), "mail", Format::kMaildir, "host").ok());
  EXPECT_TRUE(std::filesystem::is_empty(directory / "elsewhere"));

  std::filesystem::create_directory(directory / "other");
  std::filesystem::create_directory_symlink("../elsewhere", directory / "other" / "new");
  EXPECT_FALSE(OpenMailboxAt(parent.get(), "other", Format::kMaildir, "host").ok());
}

// The directory that is synced is the one that gets the message: one put in its place gets neither.
TEST_P(Mailboxes, ANewThatWasReplacedGetsNoMessage) {
  auto opened = OpenMailboxAt(parent.get(), "mail", Format::kMaildir, "host");
  ASSERT_TRUE(opened.ok()) << opened.status();
  std::filesystem::remove(directory / "mail" / "new");
  std::filesystem::create_directory(directory / "mail" / "new");
  absl::Status stored;
  Run(StoreOne(*opened->mailbox, "x\r\n", stored));
  EXPECT_TRUE(absl::IsNotFound(stored)) << stored;
  EXPECT_TRUE(std::filesystem::is_empty(directory / "mail" / "new"));
  EXPECT_TRUE(std::filesystem::is_empty(directory / "mail" / "tmp"));
}

// Files of this process stop growing at `octets`.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t octets) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit low = {octets, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &low);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_P(Mailboxes, APartialMessageIsTakenOutOfAnMboxAgain) {
  auto opened = OpenMailboxAt(parent.get(), "mbox", Format::kMbox, "host");
  ASSERT_TRUE(opened.ok()) << opened.status();
  Run(StoreMany(*opened->mailbox, 1));
  const std::string before = Slurp(directory / "mbox");
  absl::Status stored;
  {
    const FileSizeLimit limit(before.size() + 4096);
    Run(StoreOne(*opened->mailbox, std::string(8192, 'x') + "\r\n", stored));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(stored)) << stored;
  EXPECT_EQ(Slurp(directory / "mbox"), before);
  Run(StoreMany(*opened->mailbox, 1));
  EXPECT_GT(Slurp(directory / "mbox").size(), before.size()) << "the lock is free again";
}

TEST_P(Mailboxes, AMessageBehindOneWithoutItsLineEndBeginsALine) {
  std::ofstream(directory / "mbox", std::ios::binary) << "From x\n\ncut off";
  auto opened = OpenMailboxAt(parent.get(), "mbox", Format::kMbox, "host");
  ASSERT_TRUE(opened.ok()) << opened.status();
  Run(StoreMany(*opened->mailbox, 1));
  EXPECT_THAT(Slurp(directory / "mbox"),
              testing::StartsWith("From x\n\ncut off\n\nFrom a@example.org "));
}

io::Task<absl::Status> StoreBehindALock(Mailbox& mailbox, int lock, std::filesystem::path file) {
  absl::Status stored;
  io::TaskScope scope;
  scope.Spawn(StoreOne(mailbox, "x\r\n", stored));
  for (int turn = 0; turn < 5; ++turn) co_await io::YieldTurn();
  EXPECT_EQ(std::filesystem::file_size(file), 0u) << "written into a locked mailbox";
  struct flock range{};
  range.l_type = F_UNLCK;
  range.l_whence = SEEK_SET;
  EXPECT_EQ(::fcntl(lock, F_OFD_SETLK, &range), 0);
  EXPECT_EQ(::flock(lock, LOCK_UN), 0);
  co_await scope.Join();
  EXPECT_GT(std::filesystem::file_size(file), 0u);
  co_return stored;
}

TEST_P(Mailboxes, AnMboxIsNotWrittenWhileAnotherHoldsEitherLock) {
  auto opened = OpenMailboxAt(parent.get(), "mbox", Format::kMbox, "host");
  ASSERT_TRUE(opened.ok()) << opened.status();
  for (const bool record : {false, true}) {
    ASSERT_EQ(::truncate((directory / "mbox").c_str(), 0), 0);
    const UniqueFd other(::open((directory / "mbox").c_str(), O_RDWR | O_CLOEXEC));
    struct flock range{};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    ASSERT_EQ(record ? ::fcntl(other.get(), F_OFD_SETLK, &range) : ::flock(other.get(), LOCK_EX),
              0);
    Run(StoreBehindALock(*opened->mailbox, other.get(), directory / "mbox"));
  }
}

TEST_P(Mailboxes, BelowARootNoLinkLeadsAway) {
  const std::string root = directory;
  std::filesystem::create_directories(directory / "mail" / "alice");
  std::filesystem::create_directory_symlink("/", directory / "mail" / "away");
  EXPECT_TRUE(OpenBelowRoot(root, root).ok());
  EXPECT_TRUE(OpenBelowRoot(root, root + "/mail/alice").ok());
  EXPECT_FALSE(OpenBelowRoot(root, root + "/mail/away").ok());
  EXPECT_FALSE(OpenBelowRoot(root, root + "/mail/away/etc").ok());
  EXPECT_FALSE(OpenBelowRoot(root, root + "/mail/../..").ok());
  EXPECT_FALSE(OpenBelowRoot(root, root + "beside").ok());
  EXPECT_FALSE(OpenBelowRoot(root, "/etc").ok());
}

TEST_P(Mailboxes, FrameSizes) {
  auto opened = OpenMailboxAt(parent.get(), "mail", Format::kMaildir, "host");
  ASSERT_TRUE(opened.ok()) << opened.status();
  protocol::mailbox::Deliver order;
  Source source(order, UniqueFd());
  EXPECT_LT(test::PrintFrameSize("deliver::Maildir::Store", opened->mailbox->Store(source, "")),
            io::FramePool::kLargestOctets);
}

TEST(AnswerOf, TellsWhoseSpaceRanOut) {
  using protocol::delivery::Outcome;
  const struct {
    absl::Status stored;
    Outcome outcome;
    const char* status;
  } rows[] = {
      {absl::OkStatus(), Outcome::kDelivered, "2.0.0"},
      {ErrnoStatus(EDQUOT, "write"), Outcome::kDeferred, "4.2.2"},
      {ErrnoStatus(EFBIG, "write"), Outcome::kDeferred, "4.2.2"},
      {ErrnoStatus(ENOSPC, "write"), Outcome::kDeferred, "4.3.1"},
      {Annotate(ErrnoStatus(ENOSPC, "make new"), "/mail/alice"), Outcome::kDeferred, "4.3.1"},
      {ErrnoStatus(EMFILE, "open"), Outcome::kDeferred, "4.3.0"},
      {ErrnoStatus(EACCES, "open"), Outcome::kDeferred, "4.3.0"},
      {ErrnoStatus(EIO, "sync"), Outcome::kDeferred, "4.3.0"},
  };
  for (const auto& row : rows) {
    const protocol::mailbox::Delivered answer = AnswerOf(row.stored);
    EXPECT_EQ(answer.outcome, row.outcome) << row.stored;
    EXPECT_EQ(answer.status, row.status) << row.stored;
    EXPECT_FALSE(answer.diagnostic.empty()) << row.stored;
  }
}

TEST(AnswerOf, AnEndlessReasonIsCut) {
  EXPECT_EQ(AnswerOf(Unavailable(std::string(protocol::kMaxReplyText + 1, 'x'))).diagnostic.size(),
            protocol::kMaxReplyText);
}

}  // namespace
}  // namespace postern::deliver
