#include "daemons/master/notify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "tests/daemons/master/scratch.h"

namespace postern::master {
namespace {

using ::testing::StartsWith;

// The service manager's end; `address` as NOTIFY_SOCKET has it.
UniqueFd ListenAt(const std::string& address) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, address.data(), address.size());
  if (address[0] == '@') name.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  CHECK(::bind(fd.get(), reinterpret_cast<sockaddr*>(&name), length) == 0);
  return fd;
}

std::string Heard(const UniqueFd& manager) {
  char text[256];
  const ssize_t got = ::recv(manager.get(), text, sizeof text, 0);
  return got < 0 ? "nothing" : std::string(text, static_cast<size_t>(got));
}

TEST(Notify, ReachesASocketAtAPath) {
  const test::ScratchDirectory scratch;
  const UniqueFd manager = ListenAt(scratch / "notify");
  const test::ScopedVariable variable("NOTIFY_SOCKET", scratch / "notify");
  Notify("READY=1");
  EXPECT_EQ(Heard(manager), "READY=1");
}

TEST(Notify, ReachesAnAbstractSocketOfExactlyThatName) {
  const std::string address = StrCat("@postern-notify-test-", ::getpid());
  const UniqueFd manager = ListenAt(address);
  const test::ScopedVariable variable("NOTIFY_SOCKET", address);
  Notify("STOPPING=1");
  EXPECT_EQ(Heard(manager), "STOPPING=1");
}

TEST(Notify, TakesTheLongestPathAndNoLonger) {
  const std::string longest = "@" + std::string(sizeof sockaddr_un{}.sun_path - 2, 'x');
  const UniqueFd manager = ListenAt(longest);
  {
    const test::ScopedVariable variable("NOTIFY_SOCKET", longest);
    Notify("READY=1");
  }
  EXPECT_EQ(Heard(manager), "READY=1");
  const test::ScopedVariable variable("NOTIFY_SOCKET", longest + "xyz");
  Notify("READY=1");
  EXPECT_EQ(Heard(manager), "nothing");
}

TEST(Notify, WithoutAManagerOrWithOneThatIsGoneNothingHappens) {
  ::unsetenv("NOTIFY_SOCKET");
  Notify("READY=1");
  for (const char* address : {"", "relative/path", "/nonexistent/notify", "@nobody-listens"}) {
    const test::ScopedVariable variable("NOTIFY_SOCKET", address);
    Notify("READY=1");
  }
}

TEST(NotifyReloading, SaysTheMomentByTheMonotonicClock) {
  const std::string address = StrCat("@postern-notify-test-", ::getpid(), "-reload");
  const UniqueFd manager = ListenAt(address);
  const test::ScopedVariable variable("NOTIFY_SOCKET", address);
  const auto now_us = [] {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  };
  const int64_t before = now_us();
  NotifyReloading();
  const int64_t after = now_us();
  const std::string heard = Heard(manager);
  constexpr std::string_view kHead = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_THAT(heard, StartsWith(std::string(kHead)));
  const int64_t said = std::atoll(heard.c_str() + kHead.size());
  EXPECT_LE(before, said);
  EXPECT_LE(said, after);
}

TEST(WatchdogInterval, IsHalfOfWhatTheManagerAllows) {
  const std::string self = StrCat(::getpid());
  const struct {
    const char* microseconds;
    const char* pid;
    absl::Duration interval;
  } rows[] = {
      {"30000000", nullptr, absl::Seconds(15)}, {"30000000", self.c_str(), absl::Seconds(15)},
      {"30000000", "1", absl::ZeroDuration()},  {"2", nullptr, absl::Microseconds(1)},
      {"0", nullptr, absl::ZeroDuration()},     {"-5", nullptr, absl::ZeroDuration()},
      {"soon", nullptr, absl::ZeroDuration()},  {"", nullptr, absl::ZeroDuration()},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(StrCat(std::string_view(row.microseconds), " for ",
                        std::string_view(row.pid == nullptr ? "anybody" : row.pid)));
    const test::ScopedVariable variable("WATCHDOG_USEC", row.microseconds);
    if (row.pid != nullptr) ::setenv("WATCHDOG_PID", row.pid, 1);
    EXPECT_EQ(WatchdogInterval(), row.interval);
    ::unsetenv("WATCHDOG_PID");
  }
  EXPECT_EQ(WatchdogInterval(), absl::ZeroDuration()) << "without the variable";
}

}  // namespace
}  // namespace postern::master
