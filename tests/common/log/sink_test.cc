#include "common/log/sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "common/log/limits.h"

namespace postern::log {
namespace {

struct Ends {
  UniqueFd reader, writer;
};

Ends Pipe() {
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Ends Datagrams() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
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

std::string Line(int i) { return "line " + std::to_string(i) + std::string(90, '.') + "\n"; }

TEST(Sink, WritesAllRecordsOfATurnAtOnce) {
  Ends pipe = Pipe();
  Sink sink(Sink::Kind::kStream, std::move(pipe.writer));
  for (int i = 0; i < 10; ++i) sink.Append("a\n");
  EXPECT_EQ(sink.writes(), 0u);
  sink.Flush();
  EXPECT_EQ(sink.writes(), 1u);
  EXPECT_EQ(Drain(pipe.reader), "a\na\na\na\na\na\na\na\na\na\n");
  sink.Flush();
  EXPECT_EQ(sink.writes(), 1u) << "nothing to write, no system call";
}

TEST(Sink, AFullPipeKeepsTheRestAndGoesOnWhereItStopped) {
  Ends pipe = Pipe();
  Sink sink(Sink::Kind::kStream, std::move(pipe.writer));
  std::string expected;
  for (int i = 0; sink.HasRoom(Line(i).size()); ++i) {
    sink.Append(Line(i));
    expected += Line(i);
  }
  EXPECT_GT(sink.buffered_octets(), kMaxBufferedOctets - 128);
  std::string got;
  for (int turn = 0; turn < 100 && !sink.drained(); ++turn) {
    sink.Flush();
    got += Drain(pipe.reader);
  }
  EXPECT_TRUE(sink.drained());
  EXPECT_EQ(got, expected);
}

TEST(Sink, ANewDescriptorGetsWholeLines) {
  Ends old = Pipe();
  Ends fresh = Pipe();
  Sink sink(Sink::Kind::kStream, std::move(old.writer));
  for (int i = 0; i < 1500; ++i) sink.Append(Line(i));
  sink.Flush();
  ASSERT_FALSE(sink.drained());
  sink.Replace(std::move(fresh.writer));
  std::string got;
  while (!sink.drained()) {
    sink.Flush();
    got += Drain(fresh.reader);
  }
  EXPECT_TRUE(got.starts_with("line ")) << got.substr(0, 100);
  EXPECT_TRUE(got.ends_with(Line(1499)));
  const std::string before = Drain(old.reader);
  const size_t torn = before.rfind('\n') + 1;
  EXPECT_TRUE(got.starts_with(before.substr(torn))) << "the torn line is written again, whole";
}

TEST(Sink, ADatagramIsOneRecord) {
  Ends pair = Datagrams();
  Sink sink(Sink::Kind::kDatagrams, std::move(pair.writer));
  sink.Append("one");
  sink.Append("two");
  sink.Flush();
  char block[16];
  EXPECT_EQ(::read(pair.reader.get(), block, sizeof block), 3);
  EXPECT_EQ(::read(pair.reader.get(), block, sizeof block), 3);
  EXPECT_EQ(sink.writes(), 2u);
}

TEST(Sink, AFullSocketKeepsTheRest) {
  Ends pair = Datagrams();
  Sink sink(Sink::Kind::kDatagrams, std::move(pair.writer));
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    sink.Append(Line(i));
    expected += Line(i);
  }
  sink.Flush();
  ASSERT_FALSE(sink.drained());
  std::string got;
  while (!sink.drained()) {
    got += Drain(pair.reader);
    sink.Flush();
  }
  got += Drain(pair.reader);
  EXPECT_EQ(got, expected);
  EXPECT_EQ(sink.TakeLost(), 0u);
}

TEST(Sink, ADatagramTooLongForTheSocketIsGivenUpAndCounted) {
  Ends pair = Datagrams();
  const int small = 4096;
  ASSERT_EQ(::setsockopt(pair.writer.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
  Sink sink(Sink::Kind::kDatagrams, std::move(pair.writer));
  sink.Append(std::string(100'000, 'x'));
  sink.Append("next");
  sink.Flush();
  EXPECT_TRUE(sink.drained());
  EXPECT_EQ(sink.TakeLost(), 1u);
  EXPECT_EQ(sink.TakeLost(), 0u);
  EXPECT_EQ(Drain(pair.reader), "next");
}

TEST(Sink, ADeadDescriptorOnlyFillsTheBuffer) {
  const int read_only = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(read_only, 0);
  Sink sink(Sink::Kind::kStream, UniqueFd(read_only));
  sink.Append("a\n");
  sink.Flush();
  EXPECT_EQ(sink.buffered_octets(), 2u);
  Ends pipe = Pipe();
  sink.Replace(std::move(pipe.writer));
  sink.Flush();
  EXPECT_EQ(Drain(pipe.reader), "a\n");
}

}  // namespace
}  // namespace postern::log
