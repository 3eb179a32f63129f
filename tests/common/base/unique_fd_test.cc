#include "common/base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <utility>

namespace postern {
namespace {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

UniqueFd Open() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

TEST(UniqueFd, OwnsNothingAtFirst) {
  const UniqueFd fd;
  EXPECT_FALSE(fd.valid());
  EXPECT_FALSE(static_cast<bool>(fd));
  EXPECT_EQ(fd.get(), -1);
}

TEST(UniqueFd, ClosesWhenItDies) {
  int number = -1;
  {
    const UniqueFd fd = Open();
    ASSERT_TRUE(fd.valid());
    number = fd.get();
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
}

TEST(UniqueFd, MovingHandsTheDescriptorOn) {
  UniqueFd first = Open();
  const int number = first.get();
  UniqueFd second = std::move(first);
  EXPECT_FALSE(first.valid());  // NOLINT: a moved-from one is empty, and that is promised
  EXPECT_EQ(second.get(), number);
  EXPECT_TRUE(IsOpen(number));
}

TEST(UniqueFd, AssigningClosesWhatWasOwned) {
  UniqueFd first = Open();
  UniqueFd second = Open();
  const int lost = first.get();
  const int kept = second.get();
  first = std::move(second);
  EXPECT_FALSE(IsOpen(lost));
  EXPECT_TRUE(IsOpen(kept));
  EXPECT_EQ(first.get(), kept);
}

TEST(UniqueFd, AssigningToItselfKeepsIt) {
  UniqueFd fd = Open();
  UniqueFd& same = fd;
  fd = std::move(same);
  ASSERT_TRUE(fd.valid());
  EXPECT_TRUE(IsOpen(fd.get()));
}

TEST(UniqueFd, ReleasingKeepsTheDescriptorOpen) {
  UniqueFd fd = Open();
  const int number = fd.release();
  EXPECT_FALSE(fd.valid());
  EXPECT_TRUE(IsOpen(number));
  fd.reset(number);
  fd.reset();
  EXPECT_FALSE(fd.valid());
  EXPECT_FALSE(IsOpen(number));
}

}  // namespace
}  // namespace postern
