#include "common/smtp/line_splitter.h"

#include <utility>

namespace postern::smtp {

void LineSplitter::Release() {
  if (!held_is_done_) return;
  held_ = std::string();
  held_is_done_ = false;
}

LineSplitter::Outcome LineSplitter::Next(std::string_view& input, std::string_view& line) {
  line = {};
  Release();
  const size_t lf = input.find('\n');
  if (lf == input.npos) {
    if (discarded_ > 0 || held_.size() + input.size() >= max_octets_) {
      Discard(input);
    } else {
      held_ += input;
    }
    input = {};
    return Outcome::kNeedMore;
  }
  const std::string_view here = input.substr(0, lf + 1);
  input.remove_prefix(here.size());
  if (discarded_ > 0 || held_.size() + here.size() > max_octets_) {
    Discard(here.substr(0, here.size() - 1));
    return EndDiscarded();
  }
  if (held_.empty()) return Judge(here, line);
  held_ += here;
  held_is_done_ = true;
  return Judge(held_, line);
}

// Lets go of what is held, and of `bytes` behind it. No LF is in either.
void LineSplitter::Discard(std::string_view bytes) {
  const std::string held = std::exchange(held_, std::string());
  for (const std::string_view part : {std::string_view(held), bytes}) {
    if (part.empty()) continue;
    const size_t cr = part.find('\r');
    discarded_bare_cr_ |= discarded_ends_in_cr_ || (cr != part.npos && cr + 1 != part.size());
    discarded_ends_in_cr_ = part.back() == '\r';
    discarded_ += part.size();
  }
}

// At the LF. A bare one here would begin a new command in the middle of a line, too.
LineSplitter::Outcome LineSplitter::EndDiscarded() {
  const bool good = discarded_ends_in_cr_ && !discarded_bare_cr_;
  discarded_ = 0;
  discarded_bare_cr_ = discarded_ends_in_cr_ = false;
  return good ? Outcome::kTooLong : Outcome::kBareNewline;
}

// `whole` ends in LF, the only one.
LineSplitter::Outcome LineSplitter::Judge(std::string_view whole, std::string_view& line) {
  whole.remove_suffix(1);
  const size_t cr = whole.find('\r');
  if (cr == whole.npos || cr + 1 != whole.size()) return Outcome::kBareNewline;
  whole.remove_suffix(1);
  line = whole;
  return Outcome::kLine;
}

}  // namespace postern::smtp
