// Replies of remote servers: the same replies however the bytes are cut, all bounded; and what we
// write reads back.
//
// Covers: common/smtp/reply_parser.cc common/smtp/reply.cc
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "common/smtp/limits.h"
#include "common/smtp/reply.h"
#include "common/smtp/reply_parser.h"

namespace {

using namespace postern::smtp;
using Outcome = ReplyParser::Outcome;

struct Result {
  std::vector<Reply> replies;
  bool failed = false;
  friend bool operator==(const Result&, const Result&) = default;
};

Result ParseAll(std::string_view wire, size_t step) {
  ReplyParser parser;
  Result result;
  while (!wire.empty() && !result.failed) {
    std::string_view input = wire.substr(0, step);
    wire.remove_prefix(input.size());
    Outcome outcome;
    while ((outcome = parser.Next(input)) == Outcome::kReply) {
      result.replies.push_back(parser.reply());
    }
    result.failed = outcome == Outcome::kMalformed;
  }
  return result;
}

void CheckWritten(const Reply& reply) {
  const std::string wire = FormatReply(reply);
  for (size_t at = 0; at < wire.size();) {
    const size_t end = wire.find("\r\n", at);
    CHECK(end != wire.npos && end + 2 - at <= kReplyLine);
    at = end + 2;
  }
  const Result again = ParseAll(wire, wire.size());
  // Broken lines may be more lines than a reply may have.
  if (again.failed) return;
  CHECK(again.replies.size() == 1);
  CHECK(again.replies[0].code == reply.code);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t step = 1 + data[0];
  const std::string_view wire(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Result whole = ParseAll(wire, size);
  CHECK(ParseAll(wire, step) == whole);
  CHECK(ParseAll(wire, 1) == whole);
  for (const Reply& reply : whole.replies) {
    CHECK(reply.code >= 200 && reply.code <= 599);
    CHECK(!reply.enhanced.present() || reply.enhanced.klass == reply.klass());
    CHECK(reply.text.size() <= kMaxReplyOctets);
    CheckWritten(reply);
  }
  return 0;
}
