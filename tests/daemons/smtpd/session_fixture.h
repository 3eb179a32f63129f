// tests/daemons/smtpd/session_fixture.h — a Session with a scripted client, on a clock of its own.
//
//   TEST_F(SessionTest, MailNeedsHello) {
//     peer.Expects("220");
//     Says("MAIL FROM:<a@client.example>", "503 5.5.1");
//     Run();
//   }
#pragma once

#include <gmock/gmock.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "common/io/scope.h"
#include "daemons/smtpd/session.h"
#include "tests/daemons/smtpd/fake_host.h"
#include "tests/testing/fake_loop.h"
#include "tests/testing/memory_stream.h"
#include "tests/testing/scripted_peer.h"

namespace postern::smtpd {

class SessionTest : public ::testing::Test {
 protected:
  struct Row {
    std::string say;     // a line, without its CRLF
    std::string expect;  // how the last line of the reply begins; empty: nothing is awaited
  };

  // The script.
  void Says(std::string_view line, std::string_view expect,
            std::source_location at = std::source_location::current()) {
    peer.Says(line, at);
    if (!expect.empty()) peer.ExpectsReply(expect, at);
  }
  void Dialogue(std::initializer_list<Row> rows,
                std::source_location at = std::source_location::current()) {
    for (const Row& row : rows) Says(row.say, row.expect, at);
  }
  // The greeting and EHLO.
  void Hello(std::source_location at = std::source_location::current()) {
    peer.ExpectsReply("220", at);
    Says("EHLO client.example", "250", at);
  }
  // A transaction up to its recipients.
  void Envelope(std::string_view parameters = {},
                std::source_location at = std::source_location::current()) {
    Says("MAIL FROM:<sender@client.example>" + std::string(parameters), "250 2.1.0", at);
    Says("RCPT TO:<alice@example.org>", "250 2.1.5", at);
  }
  // Content of DATA, with its end.
  void Content(std::string_view content, std::string_view expect,
               std::source_location at = std::source_location::current()) {
    Says("DATA", "354", at);
    peer.SaysRaw(std::string(content) + "\r\n.\r\n", at);
    peer.ExpectsReply(expect, at);
  }
  // BDAT and its chunk in one.
  void Chunk(std::string_view chunk, bool last, std::string_view expect,
             std::source_location at = std::source_location::current()) {
    peer.SaysRaw(StrCat("BDAT ", chunk.size(), last ? " LAST\r\n" : "\r\n", chunk), at);
    peer.ExpectsReply(expect, at);
  }

  // Plays the script against one session, until both have ended.
  void Run(std::source_location at = std::source_location::current()) {
    const absl::Status ended = loop.Run(Both());
    if (!ended.ok()) {
      ADD_FAILURE_AT(at.file_name(), static_cast<int>(at.line()))
          << ToStd(ended.ToString()) << "\nheard:\n"
          << peer.heard();
    }
  }
  // All that was committed in `Run`, in order.
  std::vector<const FakeMessage*> Committed() const {
    std::vector<const FakeMessage*> committed;
    for (const auto& message : host.messages) {
      if (message->committed) committed.push_back(message.get());
    }
    return committed;
  }
  // "2 committed" at most says more than a pointer.
  std::string OnlyContent() const {
    const auto committed = Committed();
    EXPECT_EQ(committed.size(), 1u);
    return committed.size() == 1 ? committed.front()->content : std::string();
  }

  static Client Stranger() {
    return {.address = {*IpAddress::Parse("192.0.2.7"), 40000}, .local_user = {}};
  }
  static Client LocalUser() { return {.address = {}, .local_user = "alice"}; }

  test::FakeLoop loop;
  FakeHost host{loop.loop()};
  test::ScriptedPeer peer;
  test::MemoryStreamOptions stream_options;
  Client client = Stranger();
  Session::Counters counters;
  bool accepted_by_policy = false;
  bool idle_while_waiting = false;
  std::unique_ptr<test::MemoryStream> client_end;
  std::unique_ptr<test::MemoryStream> server_end;
  Session* session = nullptr;  // while it runs

 private:
  io::Task<absl::Status> Play() {
    const absl::Status played =
        co_await peer.Play(*client_end, loop.loop().After(absl::Hours(1000)));
    client_end->Close();
    co_return played;
  }
  io::Task<absl::Status> Both() {
    std::tie(client_end, server_end) = test::MakeMemoryStreams(stream_options);
    io::TaskScope scope;
    scope.Spawn(Play());
    {
      Session served(host, *server_end, client);
      session = &served;
      co_await served.Serve();
      session = nullptr;
      counters = served.counters();
      accepted_by_policy = served.accepted_by_policy();
    }
    server_end.reset();
    const absl::Status joined = co_await scope.JoinOrCancel();
    client_end.reset();
    co_return joined;
  }
};

}  // namespace postern::smtpd
