#include <fcntl.h>
#include <gtest/gtest.h>
#include <liburing.h>
#include <sys/syscall.h>

#include <optional>
#include <string>

#include "sandbox/profiles/profiles.h"
#include "tests/sandbox/confined_child.h"

namespace postern::sandbox {
namespace {

class Ring : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!io::UringWorks()) GTEST_SKIP() << "io_uring is refused here";
    io_uring_params params{};
    params.flags = IORING_SETUP_R_DISABLED;
    ASSERT_EQ(io_uring_queue_init_params(8, &ring_, &params), 0);
    made_ = true;
  }
  void TearDown() override {
    if (made_) io_uring_queue_exit(&ring_);
  }
  void Enable() {
    ASSERT_EQ(
        ::syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0),
        0);
  }
  // Submits what was prepared last; its result.
  int Answer() {
    io_uring_cqe* cqe = nullptr;
    if (io_uring_submit(&ring_) != 1 || io_uring_wait_cqe(&ring_, &cqe) != 0) return 1;
    const int result = cqe->res;
    io_uring_cqe_seen(&ring_, cqe);
    return result;
  }

  io_uring ring_{};
  bool made_ = false;
};

TEST_F(Ring, RefusesOperationsAndFlagsOutsideTheList) {
  ASSERT_TRUE(RestrictRing(ring_.ring_fd, PolicydProfile(Backend::kUring)).ok());
  Enable();
  io_uring_prep_openat(io_uring_get_sqe(&ring_), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
  EXPECT_EQ(Answer(), -EACCES) << "open";
  io_uring_prep_nop(io_uring_get_sqe(&ring_));
  EXPECT_EQ(Answer(), -EACCES) << "nothing";
  io_uring_prep_socket(io_uring_get_sqe(&ring_), AF_INET, SOCK_STREAM, 0, 0);
  EXPECT_EQ(Answer(), -EACCES) << "socket";
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  io_uring_prep_close(sqe, 1000);
  sqe->flags |= IOSQE_ASYNC;
  EXPECT_EQ(Answer(), -EACCES) << "a listed operation on a thread of the kernel";
  io_uring_prep_close(io_uring_get_sqe(&ring_), 1000);
  EXPECT_EQ(Answer(), -EBADF) << "a listed operation is done, and fails as it should";
}

TEST_F(Ring, RefusesToBeRegisteredWith) {
  ASSERT_TRUE(RestrictRing(ring_.ring_fd, PolicydProfile(Backend::kUring)).ok());
  Enable();
  for (const unsigned opcode : {IORING_REGISTER_BUFFERS, IORING_REGISTER_FILES,
                                IORING_REGISTER_PERSONALITY, IORING_REGISTER_ENABLE_RINGS}) {
    errno = 0;
    EXPECT_LT(::syscall(SYS_io_uring_register, ring_.ring_fd, opcode, nullptr, 0), 0);
    EXPECT_EQ(errno, EACCES) << opcode;
  }
}

TEST_F(Ring, AnOperationTheKernelDoesNotKnowIsFatalAndNamed) {
  Profile profile = PolicydProfile(Backend::kUring);
  profile.ring_operations.push_back(250);
  const absl::Status refused = RestrictRing(ring_.ring_fd, profile);
  EXPECT_NE(Message(refused).find("ring: this kernel does not know operation 250"),
            std::string_view::npos)
      << refused.ToString();
}

TEST_F(Ring, CannotBeRestrictedTwiceOrTooLate) {
  ASSERT_TRUE(RestrictRing(ring_.ring_fd, PolicydProfile(Backend::kUring)).ok());
  EXPECT_FALSE(RestrictRing(ring_.ring_fd, QmgrProfile(Backend::kUring, UniqueFd())).ok());
  Enable();
  EXPECT_FALSE(RestrictRing(ring_.ring_fd, PolicydProfile(Backend::kUring)).ok());
}

TEST_F(Ring, ListsMustLeaveOutTheOperationThatIsAskedFor) {
  Profile profile = PolicydProfile(Backend::kUring);
  profile.ring_operations.push_back(IORING_OP_NOP);
  EXPECT_FALSE(RestrictRing(ring_.ring_fd, profile).ok());
}

// A list that did not take must not give a loop: here one that was never registered.
TEST_F(Ring, AnOpenRingNeverGoesToWork) {
  io::LoopOptions options;
  options.backend = io::BackendKind::kUring;
  options.restrict_ring = [](int) { return absl::OkStatus(); };
  const auto open = io::Loop::Create(options);
  ASSERT_FALSE(open.ok());
  EXPECT_NE(Message(open.status()).find("ring: the restrictions are not in force"),
            std::string_view::npos)
      << open.status().ToString();
}

TEST_F(Ring, IsSeenToBeRestrictedByItsIndex) {
  int status = InChild([] {
    io::LoopOptions options;
    options.backend = io::BackendKind::kUring;
    const Profile profile = PolicydProfile(Backend::kUring);
    options.restrict_ring = [&](int fd) { return RestrictRing(fd, profile); };
    auto loop = io::Loop::Create(options);
    if (!loop.ok()) return 1;
    const bool seen = VerifyRingRestricted((*loop)->registered_ring_index()).ok();
    ::_exit(seen ? 7 : 2);
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
  status = InChild([] {
    io_uring open;
    if (io_uring_queue_init(8, &open, 0) != 0 || io_uring_register_ring_fd(&open) != 1) return 1;
    return VerifyRingRestricted(open.enter_ring_fd).ok() ? 2 : 7;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << "an open ring passed: " << status;
}

}  // namespace
}  // namespace postern::sandbox
