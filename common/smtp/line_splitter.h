// common/smtp/line_splitter.h — cuts the bytes of one SMTP connection into command lines.
//
// Bare CR and bare LF stop here (RFC 5321 §2.3.8, S03), so code above this layer never sees a line
// that ended in anything but CRLF: that is what keeps smuggled commands out. An over-long line is
// discarded as it arrives, not collected first. Nothing is held while no line has been begun, and a
// line that lies whole within the input is not copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/smtp/limits.h"

namespace postern::smtp {

class LineSplitter {
 public:
  enum class Outcome : uint8_t {
    kLine,         // `line` is the next line, without its CRLF
    kNeedMore,     // the input is used up
    kTooLong,      // a line beyond the limit has ended in CRLF; it is gone, the next can be read
    kBareNewline,  // up to the next LF there was a CR without LF or the LF had no CR; all of it is
                   // gone. Answer kBareNewlineInCommand and hang up: what follows may be smuggled
  };

  // `max_octets` includes the CRLF.
  explicit LineSplitter(size_t max_octets = kMaxCommandLine) : max_octets_(max_octets) {}

  // Takes the next line off the front of `input`. `line` is valid until the next call, and as long
  // as the bytes of `input`. The outcomes do not depend on how the bytes are cut into inputs.
  Outcome Next(std::string_view& input, std::string_view& line);

  // Octets of the line begun, held or discarded; 0 between two lines. An endless line is the
  // caller's to cut off, by its clock or by this.
  size_t pending_octets() const { return held_is_done_ ? 0 : held_.size() + discarded_; }
  // For the lines to come: longer ones during AUTH.
  void set_max_octets(size_t max_octets) { max_octets_ = max_octets; }

 private:
  static Outcome Judge(std::string_view whole, std::string_view& line);
  void Release();
  void Discard(std::string_view bytes);
  Outcome EndDiscarded();

  size_t max_octets_;
  std::string held_;      // the line begun in an earlier call
  size_t discarded_ = 0;  // octets of an over-long line that were let go, and of them:
  bool discarded_bare_cr_ = false;
  bool discarded_ends_in_cr_ = false;
  bool held_is_done_ = false;  // `held_` is what the last call returned
};

}  // namespace postern::smtp
