#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>

#include "tests/sandbox/confined_child.h"

namespace postern::sandbox {
namespace {

Profile Empty() { return ProfileBuilder("test", Backend::kEpoll).KillTheRest(); }

int Enter(const Profile& profile) {
  int abi = 0;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return EnterLandlock(profile, abi).ok() ? abi : -1;
}

class Landlock : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!EndedWith(InChild([] { return Enter(Empty()) > 0 ? 7 : 1; }), 7))
      GTEST_SKIP() << "this kernel offers no Landlock";
    ASSERT_NE(::mkdtemp(directory_), nullptr);
    inside_ = std::string(directory_) + "/file";
    UniqueFd file(::open(inside_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(file.valid());
  }
  void TearDown() override {
    ::unlink(inside_.c_str());
    ::rmdir(directory_);
  }

  char directory_[32] = "/tmp/postern-landlock-XXXXXX";
  std::string inside_;
};

TEST_F(Landlock, ClosesFilesThatTheUidCouldOpen) {
  EXPECT_TRUE(EndedWith(InChild([&] {
                          if (::open("/etc/passwd", O_RDONLY) < 0) return 1;
                          if (Enter(Empty()) < 0) return 2;
                          if (::open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES) return 3;
                          return ::open(inside_.c_str(), O_RDONLY) < 0 ? 7 : 4;
                        }),
                        7));
}

TEST_F(Landlock, LeavesOpenWhatIsGrantedAndNoMore) {
  const Profile reading = ProfileBuilder("test", Backend::kEpoll)
                              .AllowFilesBelow({directory_}, kReadFiles, "a test")
                              .KillTheRest();
  const int status = InChild([&] {
    if (Enter(reading) < 0) return 1;
    if (::open(inside_.c_str(), O_RDONLY) < 0) return 2;
    if (::open(inside_.c_str(), O_WRONLY) >= 0) return 3;
    if (::unlink(inside_.c_str()) == 0) return 4;
    return ::open("/etc/passwd", O_RDONLY) < 0 ? 7 : 5;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST_F(Landlock, ManagingFilesIsNotMakingDirectories) {
  UniqueFd opened(::open(directory_, O_PATH | O_DIRECTORY | O_CLOEXEC));
  const Profile managing = ProfileBuilder("test", Backend::kEpoll)
                               .AllowFilesBelow(std::move(opened), kManageFiles, "a test")
                               .KillTheRest();
  const std::string other = inside_ + "2";
  const int status = InChild([&] {
    if (Enter(managing) < 0) return 1;
    if (::rename(inside_.c_str(), other.c_str()) != 0) return 2;
    if (::open(inside_.c_str(), O_WRONLY | O_CREAT, 0600) < 0) return 3;
    if (::unlink(other.c_str()) != 0) return 4;
    if (::mkdir(other.c_str(), 0700) == 0 || errno != EACCES) return 5;
    if (::symlink("/etc/passwd", other.c_str()) == 0) return 6;
    return 7;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST_F(Landlock, AFileAloneCanBeGranted) {
  UniqueFd opened(::open(inside_.c_str(), O_PATH | O_CLOEXEC));
  const Profile mbox = ProfileBuilder("test", Backend::kEpoll)
                           .AllowFilesBelow(std::move(opened), kManageFiles, "an mbox")
                           .KillTheRest();
  const int status = InChild([&] {
    if (Enter(mbox) < 0) return 1;
    if (::open(inside_.c_str(), O_RDWR) < 0) return 2;
    return ::open((inside_ + "2").c_str(), O_WRONLY | O_CREAT, 0600) < 0 ? 7 : 3;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

TEST_F(Landlock, AGrantThatIsNotThereIsAnErrorThatNamesIt) {
  const Profile missing = ProfileBuilder("test", Backend::kEpoll)
                              .AllowFilesBelow({"/nonexistent/spool"}, kReadFiles, "a test")
                              .KillTheRest();
  int abi = 0;
  const absl::Status refused = EnterLandlock(missing, abi);
  EXPECT_NE(Message(refused).find("landlock: open /nonexistent/spool"), std::string_view::npos)
      << refused.ToString();
}

// 0: connected or refused by the other side; else errno.
int Connect(uint16_t port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return 0;
  return errno == ECONNREFUSED ? 0 : errno;
}
int Bind() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 ? 0 : errno;
}

TEST_F(Landlock, ConnectsToThePortsGrantedAndBindsNone) {
  if (!EndedWith(InChild([] { return Enter(Empty()) >= 4 ? 7 : 1; }), 7))
    GTEST_SKIP() << "Landlock knows ports from ABI 4 on (Linux 6.7)";
  const Profile none = Empty();
  const Profile two =
      ProfileBuilder("test", Backend::kEpoll).AllowConnectPorts({25, 10025}).KillTheRest();
  const struct {
    const char* label;
    const Profile& profile;
    uint16_t port;
    int error;
  } rows[] = {{"no port granted", none, 25, EACCES},
              {"the first", two, 25, 0},
              {"the second", two, 10025, 0},
              {"one below", two, 24, EACCES},
              {"one above", two, 10026, EACCES}};
  for (const auto& row : rows) {
    const int status = InChild([&] {
      if (Enter(row.profile) < 0) return 1;
      if (Connect(row.port) != row.error) return 2;
      return Bind() == EACCES ? 7 : 3;
    });
    EXPECT_TRUE(EndedWith(status, 7)) << row.label << " " << status;
  }
}

TEST_F(Landlock, SignalsNobodyOutside) {
  if (!EndedWith(InChild([] { return Enter(Empty()) >= 6 ? 7 : 1; }), 7))
    GTEST_SKIP() << "Landlock knows signals from ABI 6 on (Linux 6.12)";
  const int status = InChild([] {
    if (::kill(::getppid(), 0) != 0) return 1;
    if (Enter(Empty()) < 0) return 2;
    return ::kill(::getppid(), 0) != 0 && errno == EPERM ? 7 : 3;
  });
  EXPECT_TRUE(EndedWith(status, 7)) << status;
}

}  // namespace
}  // namespace postern::sandbox
