// Lines and content: nothing depends on how the bytes are cut; only CRLF . CRLF ends a message;
// what is sent on is one message, to the strictest reader and to the most lenient.
//
// Covers: common/smtp/dot_stream.cc common/smtp/line_splitter.cc common/smtp/plain_run.cc
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "common/smtp/dot_stream.h"
#include "common/smtp/line_splitter.h"

namespace {

using namespace postern::smtp;

// Cuts `wire` at the places that `cuts` says, in turn.
class Cutter {
 public:
  Cutter(std::string_view wire, std::string_view cuts) : wire_(wire), cuts_(cuts) {}
  // A buffer of its own, so that a read behind its end is seen.
  std::vector<char> Next() {
    size_t length = wire_.size();
    if (!cuts_.empty()) length = 1 + static_cast<uint8_t>(cuts_[at_++ % cuts_.size()]);
    length = std::min(length, wire_.size());
    std::vector<char> piece(wire_.begin(), wire_.begin() + static_cast<ptrdiff_t>(length));
    wire_.remove_prefix(length);
    return piece;
  }
  bool done() const { return wire_.empty(); }
  std::string_view left() const { return wire_; }

 private:
  std::string_view wire_;
  std::string_view cuts_;
  size_t at_ = 0;
};

std::vector<std::string> Lines(std::string_view wire, std::string_view cuts) {
  LineSplitter splitter(32);
  std::vector<std::string> events;
  for (Cutter cutter(wire, cuts); !cutter.done();) {
    const std::vector<char> bytes = cutter.Next();
    std::string_view input(bytes.data(), bytes.size());
    std::string_view line;
    LineSplitter::Outcome outcome;
    while ((outcome = splitter.Next(input, line)) != LineSplitter::Outcome::kNeedMore) {
      CHECK(line.size() <= 30 && line.find_first_of("\r\n") == line.npos);
      events.push_back(std::to_string(static_cast<int>(outcome)) + std::string(line));
    }
    CHECK(input.empty());
  }
  events.push_back(std::to_string(splitter.pending_octets()));
  return events;
}

struct Decoded {
  std::string content;
  std::string rest;
  bool ended = false;
  bool bare = false;
  bool eight_bit = false;
  bool nul = false;
  uint64_t octets = 0;
  uint64_t longest = 0;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded Decode(std::string_view wire, std::string_view cuts, BareNewlines policy, Framing framing) {
  DotDecoder decoder(policy, framing);
  Decoded decoded;
  for (Cutter cutter(wire, cuts); !cutter.done() && !decoded.ended;) {
    const std::vector<char> bytes = cutter.Next();
    std::string_view input(bytes.data(), bytes.size());
    std::string_view piece;
    DotDecoder::Outcome outcome;
    while ((outcome = decoder.Next(input, piece)) == DotDecoder::Outcome::kPiece) {
      CHECK(!piece.empty());
      decoded.content += piece;
    }
    decoded.ended = outcome == DotDecoder::Outcome::kEnd;
    if (decoded.ended) decoded.rest = std::string(input) + std::string(cutter.left());
  }
  if (framing == Framing::kChunks) decoded.content += decoder.Finish();
  decoded.bare = decoder.has_bare_newline();
  decoded.eight_bit = decoder.has_8bit();
  decoded.nul = decoder.has_nul();
  decoded.octets = decoder.octets();
  decoded.longest = decoder.longest_line_octets();
  return decoded;
}

// Octet by octet, as simply as it can be said.
std::string Normalised(std::string_view content) {
  std::string normal;
  for (size_t i = 0; i < content.size(); ++i) {
    if (content[i] != '\r' && content[i] != '\n') {
      normal += content[i];
      continue;
    }
    if (content.substr(i, 2) == "\r\n") ++i;
    normal += "\r\n";
  }
  return normal;
}

size_t EndOfData(std::string_view wire) {
  if (wire.starts_with(".\r\n")) return 3;
  const size_t at = wire.find("\r\n.\r\n");
  return at == wire.npos ? wire.npos : at + 5;
}

void CheckDecoding(std::string_view wire, std::string_view cuts) {
  for (const BareNewlines policy : {BareNewlines::kReject, BareNewlines::kNormalise}) {
    for (const Framing framing : {Framing::kDots, Framing::kChunks}) {
      const Decoded whole = Decode(wire, "", policy, framing);
      CHECK(Decode(wire, cuts, policy, framing) == whole);
      CHECK(Normalised(whole.content) == whole.content);
      const size_t end = framing == Framing::kDots ? EndOfData(wire) : wire.npos;
      CHECK(whole.ended == (end != wire.npos));
      if (whole.ended) CHECK(whole.rest == wire.substr(end));
      if (policy == BareNewlines::kNormalise) CHECK(whole.octets == whole.content.size());
      if (framing == Framing::kChunks && policy == BareNewlines::kNormalise)
        CHECK(whole.content == Normalised(wire));
    }
  }
}

void CheckEncoding(std::string_view content, std::string_view cuts) {
  DotEncoder encoder;
  std::string wire;
  for (Cutter cutter(content, cuts); !cutter.done();) {
    const std::vector<char> bytes = cutter.Next();
    encoder.Append({bytes.data(), bytes.size()}, wire);
  }
  encoder.Finish(wire);
  std::string expected = Normalised(content);
  CHECK(encoder.normalised() == (expected != content));
  if (!expected.empty() && !expected.ends_with("\r\n")) expected += "\r\n";
  const Decoded decoded = Decode(wire, cuts, BareNewlines::kReject, Framing::kDots);
  CHECK(decoded.ended && !decoded.bare && decoded.rest.empty());
  CHECK(decoded.content == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t cut_octets = std::min<size_t>(data[0] % 16, size - 1);
  const std::string_view cuts = all.substr(1, cut_octets);
  const std::string_view wire = all.substr(1 + cut_octets);
  CHECK(Lines(wire, cuts) == Lines(wire, ""));
  CheckDecoding(wire, cuts);
  CheckEncoding(wire, cuts);
  return 0;
}
