#include "common/mime/header_scanner.h"

#include <algorithm>

namespace postern::mime {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool IsHigh(char c) { return static_cast<uint8_t>(c) >= 0x80; }

// ftext (RFC 5322 §3.6.8); RFC 6532 leaves names ASCII.
bool IsNameCharacter(char c) { return c > 32 && c < 127 && c != ':'; }

}  // namespace

void HeaderScanner::Scan(std::string_view piece) {
  while (!piece.empty() && state_ != State::kEnded) piece.remove_prefix(Take(piece));
}

// Reads at the front of `piece` and says how many octets were taken.
size_t HeaderScanner::Take(std::string_view piece) {
  if (state_ == State::kValue) return TakeValue(piece);
  const char c = piece.front();
  ++line_octets_;
  switch (state_) {
    case State::kLineStart:
      BeginLine(c);
      break;
    case State::kCrAtLineStart:
      // CRLF is the empty line; CR and something else begins no field.
      EndSection(c == '\n' ? line_octets_ : 0);
      break;
    case State::kName:
      if (c == ':') {
        EndName();
      } else if (c == ' ' || c == '\t') {
        state_ = State::kNameSpace;
      } else if (IsNameCharacter(c)) {
        if (name_.size() < kMaxFieldName) name_ += Lower(c);
      } else {
        EndSection(0);
      }
      break;
    case State::kNameSpace:  // "Name :", obsolete but seen (RFC 5322 §4.5)
      if (c == ':') {
        EndName();
      } else if (c != ' ' && c != '\t') {
        EndSection(0);
      }
      break;
    case State::kValue:
    case State::kEnded:
      break;
  }
  return 1;
}

// Up to the end of the line.
size_t HeaderScanner::TakeValue(std::string_view piece) {
  const size_t lf = piece.find('\n');
  const size_t taken = lf == piece.npos ? piece.size() : lf + 1;
  const std::string_view part = piece.substr(0, taken);
  octets_ += taken;
  if (!eight_bit_) eight_bit_ = std::any_of(part.begin(), part.end(), IsHigh);
  if (keeping_ && value_.size() < kMaxValueOctets)
    value_ += part.substr(0, kMaxValueOctets - value_.size());
  if (lf != piece.npos) state_ = State::kLineStart;
  return taken;
}

void HeaderScanner::BeginLine(char c) {
  if (c == ' ' || c == '\t') {
    // A continuation, if there is something to continue.
    if (fields_ == 0) return EndSection(0);
    octets_ += line_octets_;
    line_octets_ = 0;
    if (keeping_ && value_.size() < kMaxValueOctets) value_ += c;
    state_ = State::kValue;
    return;
  }
  EndField();
  if (c == '\n') {
    EndSection(line_octets_);
  } else if (c == '\r') {
    state_ = State::kCrAtLineStart;
  } else if (IsNameCharacter(c)) {
    name_ = Lower(c);
    state_ = State::kName;
  } else {
    EndSection(0);
  }
}

void HeaderScanner::EndName() {
  octets_ += line_octets_;
  line_octets_ = 0;
  ++fields_;
  if (name_ == "received") ++received_;
  if (name_ == "from") ++from_;
  if (name_ == "date") ++date_;
  if (name_ == "message-id") ++message_id_;
  if (name_ == "return-path") ++return_path_;
  if (name_ == "delivered-to") {
    ++delivered_to_count_;
    keeping_ = values_ == Values::kKeep && delivered_to_.size() < kMaxDeliveredTo;
  }
  state_ = State::kValue;
}

// Keeps the value at hand, unfolded and trimmed.
void HeaderScanner::EndField() {
  if (!keeping_) return;
  keeping_ = false;
  std::erase_if(value_, [](char c) { return c == '\r' || c == '\n'; });
  const size_t begin = value_.find_first_not_of(" \t");
  const size_t end = value_.find_last_not_of(" \t");
  delivered_to_.push_back(begin == value_.npos ? "" : value_.substr(begin, end + 1 - begin));
  value_ = std::string();
}

// `line_in_header`: how many octets of the last line still belong to the section.
void HeaderScanner::EndSection(uint64_t line_in_header) {
  octets_ += line_in_header;
  line_octets_ = 0;
  name_ = std::string();
  state_ = State::kEnded;
}

void HeaderScanner::Finish() {
  EndField();
  if (state_ != State::kEnded) EndSection(0);
}

}  // namespace postern::mime
