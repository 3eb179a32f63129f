#include "daemons/master/child.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/daemons/master/scratch.h"
#include "tests/testing/status_matchers.h"

namespace postern::master {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::HasSubstr;

std::string Program(const test::ScratchDirectory& scratch, const std::string& text) {
  const std::string path = scratch / "program";
  std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
  ::chmod(path.c_str(), 0755);
  return path;
}

// What the program says on its descriptor 3, up to its end.
std::string Says(const std::string& program, int* status) {
  auto spawned = Spawn(program);
  EXPECT_THAT(spawned, IsOk());
  std::string all;
  char text[256];
  for (ssize_t got; (got = ::read(spawned->control.get(), text, sizeof text)) > 0;)
    all.append(text, static_cast<size_t>(got));
  ::waitpid(spawned->pid, status, 0);
  return all;
}

TEST(Spawn, GivesTheChildItsChannelAsDescriptor3AndNoOther) {
  const test::ScratchDirectory scratch;
  const UniqueFd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  int status = -1;
  // The shell opens the directory it lists, and its own script.
  const std::string said = Says(
      Program(scratch, "for fd in /proc/$$/fd/*; do [ -S $fd ] && echo ${fd##*/}; done >&3; true"),
      &status);
  EXPECT_EQ(status, 0);
  EXPECT_THAT(said, HasSubstr("3\n"));
  EXPECT_EQ(said.find_first_of("456789"), std::string::npos) << said;
}

TEST(Spawn, GivesTheChildNothingOfOurEnvironmentAndNoBlockedSignals) {
  const test::ScratchDirectory scratch;
  const test::ScopedVariable secret("NOTIFY_SOCKET", "/run/notify");
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  int status = -1;
  const std::string said =
      Says(Program(scratch, "env >&3; grep SigBlk /proc/self/status >&3"), &status);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  EXPECT_THAT(said, HasSubstr("LC_ALL=C"));
  EXPECT_EQ(said.find("NOTIFY_SOCKET"), std::string::npos) << said;
  EXPECT_THAT(said, HasSubstr("SigBlk:\t0000000000000000"));
}

TEST(Spawn, WorksWhenItsEndHasTheNumberAlready) {
  const test::ScratchDirectory scratch;
  const std::string program = Program(scratch, "echo here >&3");
  // With 3 free in this process the pair's own end may well be 3.
  const UniqueFd kept(::fcntl(3, F_DUPFD_CLOEXEC, 20));
  ::close(3);
  const UniqueFd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));  // takes 3, if nobody has it
  int status = -1;
  EXPECT_EQ(Says(program, &status), "here\n");
  if (kept.valid()) ::dup2(kept.get(), 3);
}

TEST(Spawn, AProgramThatIsNotThereEndsWith127) {
  auto spawned = Spawn("/nonexistent/program");
  ASSERT_THAT(spawned, IsOk());
  int status = 0;
  ::waitpid(spawned->pid, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 127);
}

TEST(ProgramOf, SaysWhichProgramIsMissing) {
  // Beside this test lie no daemons.
  EXPECT_THAT(ProgramOf(protocol::control::Role::kSmtpd),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("program smtpd")));
}

TEST(Duplicate, IsTheSameFileOnAHigherNumberNotInherited) {
  auto pair = MakePair();
  ASSERT_THAT(pair, IsOk());
  const UniqueFd copy = Duplicate(pair->first);
  ASSERT_TRUE(copy.valid());
  EXPECT_GE(copy.get(), 10);
  EXPECT_NE(::fcntl(copy.get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(::write(copy.get(), "x", 1), 1);
  char got;
  EXPECT_EQ(::read(pair->second.get(), &got, 1), 1);
}

}  // namespace
}  // namespace postern::master
