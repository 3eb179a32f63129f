#include "daemons/master/listening.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/io/socket.h"
#include "tests/daemons/master/scratch.h"
#include "tests/testing/status_matchers.h"

namespace postern::master {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;

// A loopback socket that listens; the kernel chose its port.
std::pair<UniqueFd, SocketAddress> SomeListener() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  const socklen_t length = SocketAddress{IpAddress::V4(0x7f000001), 0}.ToSockaddr(storage);
  CHECK(::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0);
  CHECK(::listen(fd.get(), 8) == 0);
  const SocketAddress address = *io::LocalAddress(fd.get());
  return {std::move(fd), address};
}

SocketAddress FreeAddress() { return SomeListener().second; }

bool Connects(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

std::vector<std::string> Names(const std::vector<OpenListener>& listeners) {
  std::vector<std::string> names;
  for (const OpenListener& one : listeners) names.push_back(one.name);
  return names;
}

TEST(ListenUnix, ReplacesAStaleSocketAndSetsItsMode) {
  const test::ScratchDirectory scratch;
  const std::string path = scratch / "s";
  ASSERT_THAT(ListenUnix(path, 0600), IsOk());  // closed again at once: the file stays
  const auto fd = ListenUnix(path, 0666);
  ASSERT_THAT(fd, IsOk());
  EXPECT_TRUE(Connects(path));
  struct stat about;
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0666u);
}

TEST(ListenUnix, LeavesASocketAloneOnWhichSomebodyListens) {
  const test::ScratchDirectory scratch;
  const std::string path = scratch / "s";
  const auto first = ListenUnix(path, 0600);
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(ListenUnix(path, 0600), StatusIs(kPrecondition, HasSubstr("another process")));
  EXPECT_TRUE(Connects(path));
}

TEST(ListenUnix, ReplacesNothingThatIsNoSocket) {
  const test::ScratchDirectory scratch;
  std::ofstream(scratch / "file") << "precious";
  std::filesystem::create_symlink(scratch / "file", scratch / "link");
  for (const char* name : {"file", "link"})
    EXPECT_THAT(ListenUnix(scratch / name, 0600),
                StatusIs(kPrecondition, HasSubstr("something else")));
  EXPECT_EQ(std::filesystem::file_size(scratch / "file"), 8u);
}

TEST(ListenUnix, SaysThatAPathIsTooLong) {
  EXPECT_THAT(ListenUnix("/tmp/" + std::string(103, 'x'), 0600),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("107 octets")));
}

TEST(Listeners, OpenWhatIsNewAndCloseWhatIsGone) {
  const test::ScratchDirectory scratch;
  config::Smtp smtp;
  const SocketAddress a = FreeAddress();
  const SocketAddress b = FreeAddress();
  smtp.listen = {a};
  smtp.socket = scratch / "submit";
  Listeners listeners;
  auto change = listeners.Prepare(smtp);
  ASSERT_THAT(change, IsOk());
  EXPECT_THAT(listeners.all(), IsEmpty()) << "nothing is in force yet";
  listeners.Apply(*std::move(change));
  EXPECT_THAT(Names(listeners.all()), ElementsAre(a.ToString(), scratch / "submit"));

  smtp.listen = {a, b};
  smtp.socket.clear();
  const int kept = listeners.all()[0].fd.get();
  change = listeners.Prepare(smtp);
  ASSERT_THAT(change, IsOk());
  EXPECT_THAT(Names(change->added), ElementsAre(b.ToString()));
  EXPECT_THAT(change->removed, ElementsAre(scratch / "submit"));
  listeners.Apply(*std::move(change));
  EXPECT_EQ(listeners.all()[0].fd.get(), kept) << "what stays is not opened again";
  EXPECT_EQ(listeners.Names(), a.ToString() + " " + b.ToString());
  EXPECT_FALSE(std::filesystem::exists(scratch / "submit"));
}

TEST(Listeners, AChangeThatCannotBeMadeLeavesAllAsItWas) {
  auto [taken, address] = SomeListener();
  config::Smtp smtp;
  smtp.socket.clear();
  smtp.listen = {FreeAddress()};
  Listeners listeners;
  listeners.Apply(*listeners.Prepare(smtp));
  smtp.listen = {FreeAddress(), address};
  const auto change = listeners.Prepare(smtp);
  EXPECT_THAT(change.status().ToString(), HasSubstr("listen on " + address.ToString()));
  EXPECT_EQ(listeners.all().size(), 1u);
}

// Passed sockets take the numbers from 3 on, which belong to others in this process: so each case
// runs in a child, whose exit status is the answer.
enum Verdict { kTaken = 10, kRefused, kNothing, kBlocks, kInherited };
int InChild(const std::vector<int>& sockets, const char* names, const char* count, pid_t pid,
            std::string& message) {
  int report[2];
  CHECK(::pipe(report) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int out = ::dup2(report[1], 100);
    std::vector<int> above;
    for (size_t i = 0; i < sockets.size(); ++i)
      above.push_back(::dup2(sockets[i], 110 + static_cast<int>(i)));
    for (size_t i = 0; i < above.size(); ++i) ::dup2(above[i], 3 + static_cast<int>(i));
    ::setenv("LISTEN_FDS", count, 1);
    ::setenv("LISTEN_PID", StrCat(pid == 0 ? ::getpid() : pid).c_str(), 1);
    if (names != nullptr) ::setenv("LISTEN_FDNAMES", names, 1);
    const auto passed = TakePassedSockets();
    std::string text;
    int verdict = kTaken;
    if (!passed.ok()) {
      verdict = kRefused;
      text = std::string(Message(passed.status()));
    } else {
      for (const OpenListener& one : *passed) {
        text += one.name + " ";
        if ((::fcntl(one.fd.get(), F_GETFL) & O_NONBLOCK) == 0) verdict = kBlocks;
        if ((::fcntl(one.fd.get(), F_GETFD) & FD_CLOEXEC) == 0) verdict = kInherited;
      }
      if (passed->empty()) verdict = kNothing;
    }
    if (::getenv("LISTEN_FDS") || ::getenv("LISTEN_PID") || ::getenv("LISTEN_FDNAMES"))
      text = "the variables are still there";
    CHECK(::write(out, text.data(), text.size()) >= 0);
    ::_exit(verdict);
  }
  ::close(report[1]);
  char text[1024];
  message.clear();
  for (ssize_t got; (got = ::read(report[0], text, sizeof text)) > 0;)
    message.append(text, static_cast<size_t>(got));
  ::close(report[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(TakePassedSockets, TakesListenersByTheirAddresses) {
  const test::ScratchDirectory scratch;
  auto [tcp, address] = SomeListener();
  const auto local = ListenUnix(scratch / "s", 0600);
  std::string message;
  EXPECT_EQ(InChild({tcp.get(), local->get()}, "a:b", "2", 0, message), kTaken);
  EXPECT_EQ(message, address.ToString() + " " + scratch / "s" + " ");
}

TEST(TakePassedSockets, TheManagersCopyStillListens) {
  auto [tcp, address] = SomeListener();
  std::string message;
  ASSERT_EQ(InChild({tcp.get()}, nullptr, "1", 0, message), kTaken);
  // The child, and with it its copy, is gone.
  int listens = 0;
  socklen_t length = sizeof listens;
  ASSERT_EQ(::getsockopt(tcp.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &length), 0);
  EXPECT_EQ(listens, 1);
  sockaddr_storage storage;
  const socklen_t size = address.ToSockaddr(storage);
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
}

TEST(TakePassedSockets, RefusesWhatDoesNotListenAndNamesIt) {
  auto [tcp, address] = SomeListener();
  const UniqueFd datagrams(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const UniqueFd silent(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const UniqueFd reads(pipe[0]);
  const UniqueFd writes(pipe[1]);
  std::string message;
  for (const int wrong : {datagrams.get(), silent.get(), reads.get()}) {
    EXPECT_EQ(InChild({tcp.get(), wrong}, "good:bad", "2", 0, message), kRefused);
    EXPECT_EQ(message,
              "socket activation: descriptor 4 (bad): it is no stream socket that listens");
  }
  EXPECT_EQ(InChild({silent.get()}, nullptr, "1", 0, message), kRefused);
  EXPECT_THAT(message, HasSubstr("descriptor 3 (unknown)"));
}

TEST(TakePassedSockets, TakesNothingThatIsMeantForAnother) {
  auto [tcp, address] = SomeListener();
  std::string message;
  EXPECT_EQ(InChild({tcp.get()}, nullptr, "1", 1, message), kNothing);
  EXPECT_EQ(message, "");
}

TEST(TakePassedSockets, ANumberThatIsNoneIsRefused) {
  std::string message;
  for (const char* count : {"many", "-1", "257", "1x", "99999999999"}) {
    EXPECT_EQ(InChild({}, nullptr, count, 0, message), kRefused) << count;
    EXPECT_THAT(message, HasSubstr("LISTEN_FDS")) << count;
  }
  EXPECT_EQ(InChild({}, nullptr, "0", 0, message), kNothing);
}

OpenListener Passed(UniqueFd fd, const SocketAddress& address) {
  return {.name = address.ToString(), .fd = std::move(fd), .passed = true};
}

TEST(Listeners, APassedSocketServesTheAddressItIsBoundTo) {
  auto [fd, address] = SomeListener();
  std::vector<OpenListener> passed;
  passed.push_back(Passed(std::move(fd), address));
  Listeners listeners;
  listeners.AddSpare(std::move(passed));
  EXPECT_THAT(listeners.CheckSpare(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(address.ToString())));
  config::Smtp smtp;
  smtp.socket.clear();
  smtp.listen = {address};
  listeners.Apply(*listeners.Prepare(smtp));  // to bind it would fail: it is in use
  EXPECT_THAT(listeners.CheckSpare(), IsOk());
  EXPECT_THAT(Names(listeners.all()), ElementsAre(address.ToString()));

  // Taken out of the configuration and put in again: it was kept, as the manager keeps its own.
  smtp.listen = {FreeAddress()};
  listeners.Apply(*listeners.Prepare(smtp));
  smtp.listen = {address};
  ASSERT_THAT(listeners.Prepare(smtp), IsOk());
}

}  // namespace
}  // namespace postern::master
