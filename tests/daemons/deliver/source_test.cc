#include "daemons/deliver/source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "tests/testing/run_in_loop.h"

namespace postern::deliver {
namespace {

class SourceTest : public test::OnBothBackends {
 protected:
  // A file without a name that holds `content`.
  static UniqueFd FileWith(std::string_view content) {
    char name[] = "/tmp/postern-source-XXXXXX";
    UniqueFd fd(::mkostemp(name, O_CLOEXEC));
    ::unlink(name);
    EXPECT_EQ(::write(fd.get(), content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
    return fd;
  }

  // All pieces; `largest` is the size of the largest.
  absl::StatusOr<std::string> Read(const protocol::mailbox::Deliver& order, UniqueFd descriptor) {
    std::string all;
    const absl::Status ended = loop->Run(ReadAll(order, std::move(descriptor), all));
    if (!ended.ok()) return ended;
    return all;
  }
  io::Task<absl::Status> ReadAll(const protocol::mailbox::Deliver& order, UniqueFd descriptor,
                                 std::string& all) {
    Source source(order, std::move(descriptor));
    for (;;) {
      CO_ASSIGN_OR_RETURN(const std::string piece, co_await source.Next(*loop));
      if (piece.empty()) co_return absl::OkStatus();
      largest = std::max(largest, piece.size());
      all += piece;
    }
  }
  size_t largest = 0;
};
ON_BOTH_BACKENDS(SourceTest);

constexpr std::string_view kFields = "Return-Path: <a@example.net>\nDelivered-To: b@example.org\n";

protocol::mailbox::Deliver Order(std::string_view content) {
  protocol::mailbox::Deliver order;
  order.sender = "a@example.net";
  order.recipient = "b@example.org";
  order.inline_content = content;
  order.content_octets = content.size();
  return order;
}

TEST_P(SourceTest, InlineContentComesInMailboxForm) {
  const auto read = Read(Order("Return-Path: <x@y>\r\nSubject: x\r\n\r\nbody\r\n"), UniqueFd());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, std::string(kFields) + "Subject: x\n\nbody\n");
}

TEST_P(SourceTest, ContentOfADescriptorComesInPiecesOfBoundedSize) {
  // A CRLF lies across the end of the first piece.
  const std::string before(Source::kPieceOctets - 1, 'x');
  const std::string after(3 * Source::kPieceOctets, 'y');
  const std::string content = before + "\r\n" + after + "\r\n";
  protocol::mailbox::Deliver order = Order({});
  order.content_offset = 4;
  order.content_octets = content.size();
  const auto read = Read(order, FileWith("skip" + content + "not ours"));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == std::string(kFields) + before + "\n" + after + "\n");
  EXPECT_LE(largest, Source::kPieceOctets + kFields.size());
}

TEST_P(SourceTest, ContentThatIsShorterThanAnnouncedIsAnError) {
  const std::string content = "Subject: x\r\n\r\n";
  for (const size_t missing : {size_t{0}, size_t{1}, content.size()}) {
    protocol::mailbox::Deliver order = Order("Received: here\r\n");
    order.content_octets = content.size();
    const auto read = Read(order, FileWith(content.substr(missing)));
    EXPECT_EQ(read.ok(), missing == 0) << missing;
    if (missing > 0) EXPECT_TRUE(absl::IsDataLoss(read.status())) << read.status();
  }
}

TEST_P(SourceTest, ContentThatShouldHaveComeByDescriptorIsAnError) {
  protocol::mailbox::Deliver order = Order("Received: here\r\n");
  order.content_octets = order.inline_content.size();
  EXPECT_TRUE(Read(order, UniqueFd()).ok());
  ++order.content_octets;
  EXPECT_TRUE(absl::IsDataLoss(Read(order, UniqueFd()).status()));
}

}  // namespace
}  // namespace postern::deliver
