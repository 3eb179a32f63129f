#include "common/smtp/reply_parser.h"

#include <algorithm>
#include <utility>

#include "common/smtp/ascii.h"
#include "common/smtp/limits.h"

namespace postern::smtp {

ReplyParser::Outcome ReplyParser::Fail(std::string reason) {
  failed_ = true;
  error_.reason = std::move(reason);
  line_ = std::string();
  return Outcome::kMalformed;
}

ReplyParser::Outcome ReplyParser::Next(std::string_view& input) {
  if (failed_) return Outcome::kMalformed;
  while (!input.empty()) {
    const size_t lf = input.find('\n');
    const std::string_view piece = input.substr(0, lf == input.npos ? lf : lf + 1);
    if (line_.size() + piece.size() > kMaxReplyLine) return Fail("a reply line is too long");
    input.remove_prefix(piece.size());
    if (lf == input.npos) {
      line_ += piece;
      return Outcome::kNeedMore;
    }
    Outcome outcome;
    if (line_.empty()) {
      outcome = TakeLine(piece);
    } else {
      const std::string whole = std::exchange(line_, std::string()) + std::string(piece);
      outcome = TakeLine(whole);
    }
    if (outcome != Outcome::kNeedMore) return outcome;
  }
  return Outcome::kNeedMore;
}

// `line` ends in LF: some servers forget the CR, and nothing can be smuggled into a client by that.
ReplyParser::Outcome ReplyParser::TakeLine(std::string_view line) {
  octets_ += line.size();
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() < 3 || !std::all_of(line.begin(), line.begin() + 3, IsDigit) || line[0] < '2' ||
      line[0] > '5')
    return Fail("a reply does not begin with a code");
  if (line.size() > 3 && line[3] != ' ' && line[3] != '-')
    return Fail("a reply's code is followed by neither space nor hyphen");
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (lines_ == 0) reply_ = Reply{.code = code};
  if (code != reply_.code) return Fail("the lines of a reply have different codes");
  if (++lines_ > kMaxReplyLines) return Fail("a reply has too many lines");
  if (octets_ > kMaxReplyOctets) return Fail("a reply is too long");
  AppendText(line.substr(std::min<size_t>(4, line.size())));
  if (line.size() > 3 && line[3] == '-') return Outcome::kNeedMore;
  lines_ = 0;
  octets_ = 0;
  return Outcome::kReply;
}

void ReplyParser::AppendText(std::string_view text) {
  const std::string_view word = text.substr(0, text.find(' '));
  const Parsed<EnhancedCode> enhanced = EnhancedCode::Parse(word);
  if (enhanced.has_value() && enhanced->klass == reply_.code / 100) {
    if (lines_ == 1) reply_.enhanced = *enhanced;
    if (*enhanced == reply_.enhanced) text.remove_prefix(std::min(word.size() + 1, text.size()));
  }
  if (lines_ > 1) reply_.text += '\n';
  reply_.text += text;
}

}  // namespace postern::smtp
