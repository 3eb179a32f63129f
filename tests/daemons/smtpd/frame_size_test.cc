// What a session costs in memory: its object, and the frames of its coroutines. A connection that
// waits for a command has those of Serve, NextLine and the stream's Receive; one that waits for
// content those of Serve, Handle, OnData, ReadDataContent, ReceiveContent and Receive.
#include "tests/testing/frame_size.h"
#include "tests/daemons/smtpd/session_fixture.h"

namespace postern::smtpd {

// Makes the tasks of a session, which are not run.
struct SessionPeer {
  template <class Measure>
  static void Each(Session& session, Measure measure) {
    std::string_view line;
    session.content_ = std::make_unique<Session::Content>();
    measure("smtpd::Session::Serve", session.Serve(), 640);
    measure("smtpd::Session::NextLine", session.NextLine(line), 384);
    measure("smtpd::Session::Greet", session.Greet(), 512);
    measure("smtpd::Session::AwaitSilence", session.AwaitSilence(absl::ZeroDuration()), 256);
    measure("smtpd::Session::Flush", session.Flush(), 256);
    measure("smtpd::Session::Handle", session.Handle(line), 832);
    measure("smtpd::Session::OnRcpt", session.OnRcpt({}), 768);
    measure("smtpd::Session::OnData", session.OnData(), 384);
    measure("smtpd::Session::ReadDataContent", session.ReadDataContent(), 256);
    measure("smtpd::Session::ReceiveContent", session.ReceiveContent(line), 256);
    measure("smtpd::Session::Decode", session.Decode(line), 256);
    measure("smtpd::Session::TakeContent", session.TakeContent(line), 256);
    measure("smtpd::Session::FinishMessage", session.FinishMessage(), 256);
    measure("smtpd::Session::OnBdat", session.OnBdat({}), 576);
    measure("smtpd::Session::ReadBdatChunk", session.ReadBdatChunk(0, false), 256);
  }
  static constexpr size_t kContentOctets = sizeof(Session::Content);
};

namespace {

// The bounds are a little above what is so now, optimised (where frames of callees are merged into
// their caller's) or not: who needs more says why, here.
TEST_F(SessionTest, FrameSizesAreBounded) {
  auto [near, far] = test::MakeMemoryStreams();
  Session measured(host, *near, client);
  SessionPeer::Each(measured, [](std::string_view name, auto task, size_t bound) {
    EXPECT_LE(test::PrintFrameSize(name, std::move(task)), bound) << name << " has grown";
  });
  std::printf("object smtpd::Session %zu octets, while content comes %zu more\n", sizeof(Session),
              SessionPeer::kContentOctets);
  EXPECT_LE(sizeof(Session), 640u);
  EXPECT_LE(SessionPeer::kContentOctets, 512u);
}

}  // namespace
}  // namespace postern::smtpd
