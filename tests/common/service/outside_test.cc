#include "common/service/outside.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>

#include "common/base/unique_fd.h"
#include "common/ipc/codec.h"
#include "common/ipc/frame.h"
#include "common/ipc/protocol/control.h"
#include "tests/testing/status_matchers.h"

namespace postern::service {
namespace {

using test::IsOk;
using test::StatusIs;

// A master that takes one question and answers it on the pipe that came with it.
class Master {
 public:
  explicit Master(std::string answer) : answer_(std::move(answer)) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    near_.reset(ends[0]);
    far_.reset(ends[1]);
    thread_ = std::thread([this] { TakeOne(); });
  }
  ~Master() {
    near_.reset();
    if (thread_.joinable()) thread_.join();
  }
  int control() const { return near_.get(); }
  void Finish() { thread_.join(); }

  uint8_t type = 0;
  uint32_t pid = 0;

 private:
  void TakeOne() {
    char bytes[256];
    iovec piece{bytes, sizeof bytes};
    alignas(cmsghdr) char buffer[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = buffer;
    message.msg_controllen = sizeof buffer;
    const ssize_t got = ::recvmsg(far_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got <= 0) return;
    const std::string_view all(bytes, static_cast<size_t>(got));
    const auto header = ipc::ParseFrameHeader(all.substr(0, ipc::kFrameHeaderOctets), 4096);
    ASSERT_TRUE(header.has_value());
    type = header->type;
    const auto question = ipc::Decode<protocol::control::MapIds>(
        all.substr(ipc::kFrameHeaderOctets));  // Moved has the same field
    ASSERT_TRUE(question.has_value());
    pid = question->pid;
    const cmsghdr* rights = CMSG_FIRSTHDR(&message);
    ASSERT_NE(rights, nullptr);
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    const UniqueFd pipe(fd);
    if (!answer_.empty()) EXPECT_GT(::write(pipe.get(), answer_.data(), answer_.size()), 0);
  }

  const std::string answer_;
  UniqueFd near_, far_;
  std::thread thread_;
};

TEST(Outside, MasterIsAskedToMapIds) {
  Master master{std::string(protocol::control::kOutsideDone)};
  EXPECT_THAT(AskToMapIds(master.control(), 4711), IsOk());
  master.Finish();
  EXPECT_EQ(master.type, protocol::control::kMapIds);
  EXPECT_EQ(master.pid, 4711u);
}

TEST(Outside, MasterIsToldOfTheNewProcess) {
  Master master{std::string(protocol::control::kOutsideDone)};
  EXPECT_THAT(TellMoved(master.control(), 42), IsOk());
  master.Finish();
  EXPECT_EQ(master.type, protocol::control::kMoved);
  EXPECT_EQ(master.pid, 42u);
}

TEST(Outside, WhatMasterSaysIsTheError) {
  Master master("write uid_map: Operation not permitted");
  const absl::Status refused = AskToMapIds(master.control(), 1);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(Message(refused), "write uid_map: Operation not permitted");
}

TEST(Outside, AMasterThatIsGoneGivesNoAnswer) {
  Master master("");
  EXPECT_THAT(AskToMapIds(master.control(), 1), StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace postern::service
