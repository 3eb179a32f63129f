#include "common/log/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/log/reader.h"

namespace {
std::atomic<uint64_t> allocations = 0;
}

// Counts what the whole test program allocates, to show that a line costs none.
void* operator new(size_t octets) {
  ++allocations;
  void* memory = std::malloc(octets);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace postern::log {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr int64_t kTime = 1'795'510'652'123'456;
constexpr char kStamp[] = "2026-11-24T08:57:32.123456Z ";

struct Ends {
  UniqueFd reader, writer;
};

Ends Pipe() {
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::string Drain(const UniqueFd& fd) {
  std::string all;
  char block[65536];
  for (ssize_t n; (n = ::read(fd.get(), block, sizeof block)) > 0;) {
    all.append(block, static_cast<size_t>(n));
  }
  return all;
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  for (size_t end; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1)) {
    lines.emplace_back(text.substr(0, end));
  }
  EXPECT_TRUE(text.empty()) << "a torn line: " << text;
  return lines;
}

class Log : public testing::Test {
 protected:
  void SetUp() override { FixTimeForTest(kTime); }
  void TearDown() override {
    FixTimeForTest(-1);
    Init({.daemon = "test"});
  }

  UniqueFd InitPipe(Format format = Format::kPlain) {
    Ends pipe = Pipe();
    Init({.format = format, .fd = std::move(pipe.writer), .daemon = "smtpd", .index = 3});
    return std::move(pipe.reader);
  }
};

std::string Pid() { return std::to_string(::getpid()); }

TEST_F(Log, AnEventIsOneLineWithItsFieldsInOrder) {
  const UniqueFd reader = InitPipe();
  Event(Severity::kInfo, kMessageQueued)
      .Id(QueueId(0x123456789ABCDEF0))
      .Str("from", "a b@example.org")
      .Int("size", 12)
      .Int("most", UINT64_MAX)
      .Bool("tls", false)
      .Ms("took", absl::Microseconds(1500))
      .Error(absl::OkStatus())
      .Error(absl::UnavailableError("connect: refused"));
  EXPECT_EQ(Drain(reader), "") << "it waits for the end of the turn";
  Flush();
  EXPECT_EQ(Drain(reader),
            kStamp + ("smtpd/3[" + Pid()) +
                "] info message.queued id=14D2PF2DBSQQG from=\"a b@example.org\" size=12 "
                "most=18446744073709551615 tls=false took_ms=1.500 error=\"UNAVAILABLE: connect: "
                "refused\"\n");
}

TEST_F(Log, LinesGatherForAMomentBetweenEventsThatFollowEachOther) {
  const UniqueFd reader = InitPipe();
  Event(Severity::kInfo, "a.first");
  FixTimeForTest(kTime + kMaxLineAgeUs - 1);
  Event(Severity::kInfo, "a.second");
  FlushAged();
  EXPECT_EQ(Drain(reader), "");
  FixTimeForTest(kTime + kMaxLineAgeUs);
  FlushAged();
  EXPECT_EQ(Lines(Drain(reader)).size(), 2u);
  Event(Severity::kInfo, "a.third");
  FlushAged();
  EXPECT_EQ(Drain(reader), "") << "its time begins anew";
  FixTimeForTest(kTime);
  FlushAged();
  EXPECT_EQ(Lines(Drain(reader)).size(), 1u) << "the clock was set back";
}

TEST_F(Log, JsonHoldsTheSame) {
  const UniqueFd reader = InitPipe(Format::kJson);
  Event(Severity::kError, "smtp.reject").Str("reason", "a\n\xFF");
  Flush();
  EXPECT_EQ(Drain(reader),
            R"({"time":"2026-11-24T08:57:32.123456Z","daemon":"smtpd/3","pid":)" + Pid() +
                R"(,"severity":"error","event":"smtp.reject","reason":"a\n\\xff"})" + "\n");
}

TEST_F(Log, DurationsKeepTheirSignAndSaturate) {
  ScopedCapture capture;
  Event(Severity::kInfo, "a.b")
      .Ms("a", absl::ZeroDuration())
      .Ms("b", -absl::Microseconds(1))
      .Ms("c", absl::Hours(1))
      .Ms("d", absl::InfiniteDuration())
      .Ms("e", -absl::InfiniteDuration());
  EXPECT_THAT(capture.lines(),
              ElementsAre(EndsWith("a_ms=0.000 b_ms=-0.001 c_ms=3600000.000 "
                                   "d_ms=9223372036854775.807 e_ms=-9223372036854775.808")));
}

TEST_F(Log, TheTimeFollowsTheClockWithinAndAcrossSeconds) {
  ScopedCapture capture;
  for (const int64_t us : {kTime, kTime + 1, kTime - 123'456, kTime + 876'544, kTime}) {
    FixTimeForTest(us);
    Event(Severity::kInfo, "a.b");
  }
  std::vector<int64_t> times;
  for (const std::string& line : capture.lines()) times.push_back(ParseLine(line)->time_us);
  EXPECT_THAT(times, ElementsAre(kTime, kTime + 1, kTime - 123'456, kTime + 876'544, kTime));
}

TEST_F(Log, ALineBelowTheMinimumIsNotWritten) {
  const UniqueFd reader = InitPipe();
  EXPECT_FALSE(Wants(Severity::kDebug));
  EXPECT_TRUE(Wants(Severity::kInfo));
  Event(Severity::kDebug, "a.b").Str("x", "y").Int("n", 1).Bool("b", true).Id("z");
  Flush();
  EXPECT_EQ(Drain(reader), "");
}

TEST_F(Log, TheMinimumCanChange) {
  const UniqueFd reader = InitPipe();
  SetMinimum(Severity::kWarning);
  EXPECT_FALSE(Wants(Severity::kNotice));
  Event(Severity::kNotice, "a.b");
  Event(Severity::kWarning, "c.d");
  Flush();
  const std::string written = Drain(reader);
  EXPECT_EQ(written.find("a.b"), written.npos);
  EXPECT_NE(written.find("c.d"), written.npos);
  SetMinimum(Severity::kDebug);
  EXPECT_TRUE(Wants(Severity::kDebug));
  SetMinimum(Severity::kInfo);
}

TEST_F(Log, AnEventMayLogWhileItsFieldsAreComputed) {
  ScopedCapture capture;
  const auto inner = [] {
    Event(Severity::kInfo, "inner.event").Str("x", "1");
    return "2";
  };
  Event(Severity::kInfo, "outer.event").Str("before", "0").Str("after", inner());
  EXPECT_THAT(capture.lines(),
              ElementsAre(EndsWith("inner.event x=1"), EndsWith("outer.event before=0 after=2")));
}

TEST_F(Log, ThirtyTwoKibibytesAreWrittenWithoutWaiting) {
  const UniqueFd reader = InitPipe();
  const uint64_t writes = Stats().writes;
  size_t octets = 0;
  while (Stats().writes == writes) {
    ASSERT_LT(octets, 2 * kFlushOctets);
    Event(Severity::kInfo, "a.b").Str("x", std::string(1000, 'x'));
    octets += 1000;
  }
  EXPECT_GE(Drain(reader).size(), kFlushOctets);
}

TEST_F(Log, DroppedLinesAreCountedAndReportedBeforeTheNextOne) {
  const UniqueFd reader = InitPipe();
  const Statistics before = Stats();
  const int kLines = 500;
  for (int i = 0; i < kLines; ++i) Event(Severity::kInfo, "a.b").Str("x", std::string(1000, 'x'));
  const uint64_t dropped = Stats().dropped - before.dropped;
  ASSERT_GT(dropped, 0u);
  EXPECT_EQ(Stats().lines - before.lines, kLines - dropped);
  std::string text;
  for (std::string part; Flush(), !(part = Drain(reader)).empty();) text += part;
  Event(Severity::kInfo, "after.drop");
  Flush();
  text += Drain(reader);
  const std::vector<std::string> lines = Lines(text);
  ASSERT_EQ(lines.size(), kLines - dropped + 2);
  EXPECT_THAT(lines[lines.size() - 2],
              EndsWith("warning log.dropped count=" + std::to_string(dropped)));
  EXPECT_THAT(lines.back(), EndsWith("after.drop"));
}

TEST_F(Log, AClosedReaderEndsNothing) {
  UniqueFd reader = InitPipe();
  reader.reset();
  for (int i = 0; i < 1000; ++i) Event(Severity::kInfo, "a.b").Str("x", std::string(1000, 'x'));
  Flush();
  EXPECT_GT(Stats().dropped, 0u);
}

TEST_F(Log, AfterRotationLinesGoToTheNewDescriptor) {
  const UniqueFd old = InitPipe();
  Event(Severity::kInfo, "before.rotation");
  Ends fresh = Pipe();
  ReplaceDescriptor(std::move(fresh.writer));
  Event(Severity::kInfo, "after.rotation");
  Flush();
  EXPECT_THAT(Drain(old), EndsWith("before.rotation\n"));
  EXPECT_THAT(Drain(fresh.reader), EndsWith("after.rotation\n"));
}

TEST_F(Log, TheJournalGetsOneDatagramAnEvent) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
  const UniqueFd journal(fds[0]);
  Init({.sink = SinkKind::kJournald, .fd = UniqueFd(fds[1]), .daemon = "smtpc", .index = 0});
  Event(Severity::kNotice, kMessageDeferred).Id(QueueId(1)).Str("reason", "450-a\r\n450 b");
  Event(Severity::kInfo, "a.b");
  Flush();
  char block[4096];
  const ssize_t size = ::read(journal.get(), block, sizeof block);
  std::string expected =
      "PRIORITY=5\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=postern-smtpc\n"
      "POSTERN_TIME=2026-11-24T08:57:32.123456Z\nPOSTERN_DAEMON=smtpc/0\n"
      "POSTERN_EVENT=message.deferred\nPOSTERN_ID=0000000000001\nPOSTERN_REASON\n";
  expected += std::string("\x0C\0\0\0\0\0\0\0", 8);
  expected +=
      "450-a\r\n450 b\n"
      "MESSAGE=message.deferred id=0000000000001 reason=\"450-a\\r\\n450 b\"\n";
  // The value is 12 octets: 450-a CR LF 450 SP b.
  EXPECT_EQ(std::string_view(block, static_cast<size_t>(std::max<ssize_t>(size, 0))), expected);
  EXPECT_GT(::read(journal.get(), block, sizeof block), 0) << "the second event is its own";
}

TEST_F(Log, SyslogGetsOneDatagramAnEvent) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
  const UniqueFd syslog(fds[0]);
  Init({.sink = SinkKind::kSyslog, .fd = UniqueFd(fds[1]), .daemon = "qmgr"});
  Event(Severity::kCritical, "a.b").Str("x", "y z");
  Flush();
  char block[4096];
  const ssize_t size = ::read(syslog.get(), block, sizeof block);
  EXPECT_EQ(std::string_view(block, static_cast<size_t>(std::max<ssize_t>(size, 0))),
            "<18>Nov 24 08:57:32 postern-qmgr[" + Pid() + "]: a.b x=\"y z\"");
}

TEST_F(Log, CapturesNestAndEnd) {
  ScopedCapture outer;
  Event(Severity::kDebug, "a.one");
  {
    ScopedCapture inner(Format::kJson, Severity::kWarning);
    Event(Severity::kInfo, "a.two");
    Event(Severity::kWarning, "a.three");
    EXPECT_THAT(inner.lines(), ElementsAre(HasSubstr("\"event\":\"a.three\"}")));
  }
  Event(Severity::kInfo, "a.four");
  EXPECT_EQ(outer.lines().size(), 2u);
  EXPECT_EQ(outer.Count("a.four"), 1u);
}

TEST_F(Log, FormattingALineAllocatesNothing) {
  const UniqueFd reader = InitPipe();
  const std::string sender = "sender@example.org";
  const auto log_one = [&] {
    Event(Severity::kInfo, kMessageQueued)
        .Id(QueueId(42))
        .Str("from", sender)
        .Str("reason", "with space and \n")
        .Int("size", 5120)
        .Ms("took", absl::Microseconds(1500));
  };
  for (int i = 0; i < 100; ++i) log_one();
  Flush();
  Drain(reader);
  const uint64_t before = allocations;
  for (int i = 0; i < 100; ++i) log_one();
  Flush();
  EXPECT_EQ(allocations - before, 0u);
}

using LogDeathTest = Log;

TEST_F(LogDeathTest, AFailedCheckIsLoggedWithAllThatWaited) {
  Ends pipe = Pipe();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(STDERR_FILENO);
    Init({.fd = std::move(pipe.writer), .daemon = "qmgr"});
    Event(Severity::kInfo, "last.words");
    CHECK(1 + 1 == 3);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  const std::string text = Drain(pipe.reader);
  EXPECT_THAT(text, HasSubstr("last.words\n"));
  EXPECT_THAT(text, HasSubstr("critical daemon.check_failed what="));
}

TEST_F(LogDeathTest, ExitFlushes) {
  Ends pipe = Pipe();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Init({.fd = std::move(pipe.writer), .daemon = "qmgr"});
    Event(Severity::kInfo, "last.words");
    std::exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_THAT(Drain(pipe.reader), HasSubstr("last.words\n"));
}

TEST_F(LogDeathTest, AChildForgetsItsParentsLines) {
  const UniqueFd reader = InitPipe();
  Event(Severity::kInfo, "parents.line");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    AfterFork("deliver");
    Event(Severity::kInfo, "childs.line");
    Flush();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  const std::string from_child = Drain(reader);
  EXPECT_THAT(from_child, HasSubstr("deliver[" + std::to_string(child) + "] info childs.line\n"));
  EXPECT_THAT(from_child, testing::Not(HasSubstr("parents.line")));
  Flush();
  EXPECT_THAT(Drain(reader), EndsWith("parents.line\n"));
}

}  // namespace
}  // namespace postern::log
