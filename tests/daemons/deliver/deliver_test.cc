#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/io/scope.h"
#include "daemons/deliver/directory_sync.h"
#include "daemons/deliver/mailbox.h"
#include "daemons/deliver/text.h"
#include "tests/testing/run_in_loop.h"

namespace postern::deliver {
namespace {

TEST(CrlfToLf, DoesNotDependOnWhereTheTextIsCut) {
  const std::string text = "a\r\nb\rc\r\r\n\r\nend\r";
  const std::string expected = "a\nb\rc\r\n\nend\r";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    CrlfToLf converter;
    std::string out;
    converter.Append(text.substr(0, cut), out);
    converter.Append(text.substr(cut), out);
    converter.Finish(out);
    EXPECT_EQ(out, expected) << cut;
  }
}

TEST(MboxQuoter, QuotesFromLinesReversiblyWhereverTheyAreCut) {
  const std::string text = "From me\n>From you\nFromage\n>>>x\n\nbody From here\nlast";
  const std::string expected = ">From me\n>>From you\nFromage\n>>>x\n\nbody From here\nlast\n\n";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    MboxQuoter quoter;
    std::string out;
    quoter.Append(text.substr(0, cut), out);
    quoter.Append(text.substr(cut), out);
    quoter.Finish(out);
    EXPECT_EQ(out, expected) << cut;
  }
}

TEST(FromLine, HasTheDateAsMailReadersExpectIt) {
  EXPECT_EQ(FromLine("a@example.org", 1795510800), "From a@example.org Tue Nov 24 09:00:00 2026\n");
  EXPECT_EQ(FromLine("", 1793523600), "From MAILER-DAEMON Sun Nov  1 09:00:00 2026\n");
}

TEST(DeliveryFields, ForeignLineBreaksMakeNoFields) {
  EXPECT_EQ(DeliveryFields("a@x\r\nEvil: 1", "b@y", ""),
            "Return-Path: <a@x??Evil: 1>\nDelivered-To: b@y\n");
}

TEST(WithoutReturnPaths, DropsThoseOfOthersAndNothingElse) {
  EXPECT_EQ(
      WithoutReturnPaths(
          "Subject: x\r\nReturn-Path: <evil@x>\r\n\tfolded\r\nTo: y\r\n\r\nReturn-Path: body\r\n"),
      "Subject: x\r\nTo: y\r\n\r\nReturn-Path: body\r\n");
}

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

}  // namespace
}  // namespace postern::deliver
