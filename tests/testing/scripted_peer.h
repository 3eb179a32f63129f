// tests/testing/scripted_peer.h — the other side of a dialogue, written down line by line.
//
//   test::ScriptedPeer peer;
//   peer.Says("EHLO client.example");   peer.ExpectsReply("250");
//   peer.Says("QUIT");                  peer.Expects("221");
//   peer.ExpectsClose();
//   scope.Spawn(peer.Play(*client_end, loop.After(absl::Seconds(10))));
//
// What differs is a test failure at the line of the script that expected it; the rest of the script
// is then not played.
#pragma once

#include <functional>
#include <source_location>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/io/stream.h"

namespace postern::test {

class ScriptedPeer {
 public:
  // A line; CRLF is added. SaysRaw adds nothing.
  void Says(std::string_view line, std::source_location at = std::source_location::current());
  void SaysRaw(std::string_view bytes, std::source_location at = std::source_location::current());
  // The next line begins with `prefix`.
  void Expects(std::string_view prefix, std::source_location at = std::source_location::current());
  // A whole SMTP reply of one or more lines ("250-...", "250 ..."), each beginning with the code;
  // the rest of `code_and_text`, if any, begins the last line.
  void ExpectsReply(std::string_view code_and_text,
                    std::source_location at = std::source_location::current());
  // Lines up to and with the one that is exactly `line`, whatever they are (a message's content).
  void ExpectsUntil(std::string_view line,
                    std::source_location at = std::source_location::current());
  // The other side closes, having sent nothing more.
  void ExpectsClose(std::source_location at = std::source_location::current());
  // Waits on the loop's clock.
  void Waits(absl::Duration duration, std::source_location at = std::source_location::current());
  // Calls something between two steps: closes the stream, breaks it, counts.
  void Does(std::function<void()> action,
            std::source_location at = std::source_location::current());

  // Plays the script once. OK when all went as written; otherwise the reason, which was also
  // reported to gtest. The stream and this object must outlive the task.
  io::Task<absl::Status> Play(io::ByteStream& stream, io::Deadline until);

  // All that the other side said so far, as it came.
  const std::string& heard() const { return heard_; }

 private:
  enum class Kind { kSay, kExpect, kExpectReply, kExpectUntil, kExpectClose, kWait, kDo };
  struct Step {
    Kind kind;
    std::string text;
    absl::Duration duration;
    std::function<void()> action;
    std::source_location at;
  };

  void Add(Kind kind, std::string_view text, std::source_location at);
  io::Task<absl::Status> PlayStep(const Step& step, io::ByteStream& stream, io::Deadline until);
  io::Task<absl::Status> CheckReply(const Step& step, io::ByteStream& stream, io::Deadline until);
  // The next line without CRLF; kUnavailable at the end.
  io::Task<absl::StatusOr<std::string>> NextLine(io::ByteStream& stream, io::Deadline until);

  std::vector<Step> steps_;
  std::string heard_;
  size_t read_ = 0;  // of heard_
};

}  // namespace postern::test
