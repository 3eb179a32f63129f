#include "common/smtp/dot_stream.h"

namespace postern::smtp {
namespace {

constexpr std::string_view kNewline = "\r\n";

}  // namespace

DotDecoder::DotDecoder(BareNewlines policy, Framing framing)
    : policy_(policy),
      run_(framing == Framing::kDots ? PlainRun::Dots::kStop : PlainRun::Dots::kPass) {}

DotDecoder::Outcome DotDecoder::Next(std::string_view& input, std::string_view& piece) {
  while (!input.empty()) {
    piece = {};
    if (state_ == State::kPlain) {
      piece = input.substr(0, run_.Next(input));
      input.remove_prefix(piece.size());
    }
    if (piece.empty() && Step(input, piece) == Outcome::kEnd) return Outcome::kEnd;
    if (!piece.empty() && !rejected()) return Outcome::kPiece;
  }
  piece = {};
  return Outcome::kNeedMore;
}

// One octet that is not plain here, or the decision on those before.
DotDecoder::Outcome DotDecoder::Step(std::string_view& input, std::string_view& piece) {
  const char c = input.front();
  switch (state_) {
    case State::kPlain:  // '.', CR or LF
      input.remove_prefix(1);
      if (c == '\n') {
        piece = BareNewline();
      } else {
        state_ = c == '\r' ? State::kCr : State::kDot;
      }
      break;
    case State::kCr:
      if (c != '\n') {
        piece = BareNewline();
        break;
      }
      input.remove_prefix(1);
      piece = Newline();
      break;
    case State::kDot:
      // Without a CR it was a stuffed dot, or one that should have been: it goes (§4.5.2).
      state_ = c == '\r' ? State::kDotCr : State::kPlain;
      run_.set_line_start(false);
      if (c == '\r') input.remove_prefix(1);
      break;
    case State::kDotCr:
      if (c == '\n') {
        input.remove_prefix(1);
        return Outcome::kEnd;
      }
      piece = BareNewline();
      break;
  }
  return Outcome::kNeedMore;
}

std::string_view DotDecoder::Newline() {
  state_ = State::kPlain;
  run_.AddOctets(kNewline.size());
  run_.EndLine();
  run_.set_line_start(true);
  return kNewline;
}

// What follows does not stand at the start of a true line: a dot there is content, and ends
// nothing.
std::string_view DotDecoder::BareNewline() {
  const std::string_view newline = Newline();
  run_.set_line_start(false);
  bare_newline_ = true;
  return rejected() ? std::string_view() : newline;
}

std::string_view DotDecoder::Finish() {
  return state_ == State::kCr ? BareNewline() : std::string_view();
}

void DotEncoder::Append(std::string_view content, std::string& wire) {
  while (!content.empty()) {
    if (!after_cr_) {
      const size_t plain = run_.Next(content);
      wire += content.substr(0, plain);
      content.remove_prefix(plain);
    }
    if (!content.empty()) Step(content, wire);
  }
}

void DotEncoder::Step(std::string_view& content, std::string& wire) {
  const char c = content.front();
  if (after_cr_) {
    if (c == '\n') {
      content.remove_prefix(1);
    } else {
      normalised_ = true;
    }
    return Newline(wire);
  }
  content.remove_prefix(1);
  if (c == '\r') {
    after_cr_ = true;
  } else if (c == '\n') {
    normalised_ = true;
    Newline(wire);
  } else {
    wire += "..";
    run_.set_line_start(false);
  }
}

// A dot behind it begins a line for the next server, whatever stood here before.
void DotEncoder::Newline(std::string& wire) {
  wire += kNewline;
  after_cr_ = false;
  run_.set_line_start(true);
}

void DotEncoder::Finish(std::string& wire) {
  normalised_ |= after_cr_;
  if (after_cr_ || !run_.line_start()) wire += kNewline;
  wire += ".\r\n";
}

}  // namespace postern::smtp
