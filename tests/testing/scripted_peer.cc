#include "tests/testing/scripted_peer.h"

#include <gtest/gtest.h>

#include "common/base/escape.h"
#include "common/io/event.h"

namespace postern::test {

void ScriptedPeer::Add(Kind kind, std::string_view text, std::source_location at) {
  steps_.push_back(
      {.kind = kind, .text = std::string(text), .duration = {}, .action = {}, .at = at});
}

void ScriptedPeer::Says(std::string_view line, std::source_location at) {
  Add(Kind::kSay, std::string(line) + "\r\n", at);
}
void ScriptedPeer::SaysRaw(std::string_view bytes, std::source_location at) {
  Add(Kind::kSay, bytes, at);
}
void ScriptedPeer::Expects(std::string_view prefix, std::source_location at) {
  Add(Kind::kExpect, prefix, at);
}
void ScriptedPeer::ExpectsReply(std::string_view code_and_text, std::source_location at) {
  Add(Kind::kExpectReply, code_and_text, at);
}
void ScriptedPeer::ExpectsUntil(std::string_view line, std::source_location at) {
  Add(Kind::kExpectUntil, line, at);
}
void ScriptedPeer::ExpectsClose(std::source_location at) { Add(Kind::kExpectClose, "", at); }
void ScriptedPeer::Waits(absl::Duration duration, std::source_location at) {
  Add(Kind::kWait, "", at);
  steps_.back().duration = duration;
}
void ScriptedPeer::Does(std::function<void()> action, std::source_location at) {
  Add(Kind::kDo, "", at);
  steps_.back().action = std::move(action);
}

io::Task<absl::Status> ScriptedPeer::Play(io::ByteStream& stream, io::Deadline until) {
  for (const Step& step : steps_) {
    const absl::Status played = co_await PlayStep(step, stream, until);
    if (played.ok()) continue;
    ADD_FAILURE_AT(step.at.file_name(), static_cast<int>(step.at.line()))
        << "the script stops here: " << ToStd(played.ToString());
    co_return played;
  }
  co_return absl::OkStatus();
}

io::Task<absl::Status> ScriptedPeer::PlayStep(const Step& step, io::ByteStream& stream,
                                              io::Deadline until) {
  switch (step.kind) {
    case Kind::kSay:
      co_return Annotate(co_await stream.Send(step.text, until), "say ", Escaped(step.text));
    case Kind::kExpect: {
      CO_ASSIGN_OR_RETURN(const std::string line, co_await NextLine(stream, until));
      if (line.starts_with(step.text)) co_return absl::OkStatus();
      co_return FailedPrecondition("expected ", step.text, ", heard ", Escaped(line));
    }
    case Kind::kExpectReply:
      co_return co_await CheckReply(step, stream, until);
    case Kind::kExpectUntil:
      for (;;) {
        CO_ASSIGN_OR_RETURN(const std::string line, co_await NextLine(stream, until));
        if (line == step.text) co_return absl::OkStatus();
      }
    case Kind::kExpectClose: {
      const absl::StatusOr<std::string> line = co_await NextLine(stream, until);
      if (absl::IsUnavailable(line.status())) co_return absl::OkStatus();
      if (!line.ok()) co_return Annotate(line.status(), "expected the end");
      co_return FailedPrecondition("expected the end, heard ", Escaped(*line));
    }
    case Kind::kWait:
      co_return co_await io::Sleep(io::Loop::Current().After(step.duration));
    case Kind::kDo:
      step.action();
      co_return absl::OkStatus();
  }
}

io::Task<absl::Status> ScriptedPeer::CheckReply(const Step& step, io::ByteStream& stream,
                                                io::Deadline until) {
  const std::string code = step.text.substr(0, 3);
  for (;;) {
    CO_ASSIGN_OR_RETURN(const std::string line, co_await NextLine(stream, until));
    if (!line.starts_with(code)) {
      co_return FailedPrecondition("expected ", step.text, ", heard ", Escaped(line));
    }
    if (line.size() > 3 && line[3] == '-') continue;
    if (line.starts_with(step.text)) co_return absl::OkStatus();
    co_return FailedPrecondition("expected ", step.text, ", heard at last ", Escaped(line));
  }
}

io::Task<absl::StatusOr<std::string>> ScriptedPeer::NextLine(io::ByteStream& stream,
                                                             io::Deadline until) {
  for (;;) {
    if (const size_t end = heard_.find("\r\n", read_); end != std::string::npos) {
      const std::string line = heard_.substr(read_, end - read_);
      read_ = end + 2;
      co_return line;
    }
    CO_ASSIGN_OR_RETURN(const std::string_view bytes, co_await stream.Receive(until));
    if (bytes.empty()) {
      if (read_ == heard_.size()) co_return Unavailable("the other side closed");
      co_return DataLoss("the other side closed in a line: ", Escaped(heard_.substr(read_)));
    }
    heard_ += bytes;
    stream.Consume(bytes.size());
  }
}

}  // namespace postern::test
