// common/smtp/reply_parser.h — reads the replies of remote servers, which are hostile input:
// bounded in line length, lines and octets (limits.h).
//
// As clients must be, it is lenient in form: a bare LF ends a line, "250" alone is a reply. It is
// strict in substance: another code in a later line, a code outside 200 to 599 or no code at all
// ends the conversation, because then nobody knows which command is being answered.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/smtp/reply.h"

namespace postern::smtp {

class ReplyParser {
 public:
  enum class Outcome : uint8_t { kReply, kNeedMore, kMalformed };

  // Reads from the front of `input` and takes off what it has read: up to the end of one reply,
  // which reply() then holds, or all of it. kMalformed is final; error() says why.
  Outcome Next(std::string_view& input);

  // After kReply, until the next call. An enhanced code is split off where its class is the code's
  // (RFC 2034 §4); with several lines, the first one's counts and equal ones behind it are cut off.
  Reply& reply() { return reply_; }
  const ParseError& error() const { return error_; }
  // Whether the middle of a reply has been read (the peer's leaving now cuts it short).
  bool midway() const { return !line_.empty() || lines_ > 0; }

 private:
  Outcome Fail(std::string reason);
  Outcome TakeLine(std::string_view line);
  void AppendText(std::string_view text);

  std::string line_;  // the line begun in an earlier call
  Reply reply_;
  size_t lines_ = 0;   // of the reply under way
  size_t octets_ = 0;  // of the reply under way, the lines that are complete
  bool failed_ = false;
  ParseError error_;
};

}  // namespace postern::smtp
