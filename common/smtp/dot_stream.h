// common/smtp/dot_stream.h — message content on the wire: DATA with its dots (RFC 5321 §4.5.2), and
// the newlines of BDAT chunks.
//
// Only CRLF . CRLF ends a message, and nothing that comes near it (S03): with any other reading the
// tail of a message becomes commands at the next server. What the decoder hands out under
// kNormalise, and all that the encoder writes, has CRLF newlines alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/smtp/plain_run.h"

namespace postern::smtp {

// What to do about CR without LF and LF without CR in content.
enum class BareNewlines : uint8_t {
  kReject,     // read on to the true end, hand out nothing behind the first one; rejected() says so
  kNormalise,  // each becomes CRLF; a dot behind one neither ends the message nor is taken off
};

enum class Framing : uint8_t {
  kDots,    // DATA
  kChunks,  // BDAT (RFC 3030): no dots, the octets are counted outside; Finish() at the end.
            // BODY=BINARYMIME content does not go through here at all
};

class DotDecoder {
 public:
  enum class Outcome : uint8_t {
    kPiece,     // `piece` is the next part of the content
    kNeedMore,  // the input is used up
    kEnd,       // the end of the data was read; what follows in the input is the next command
  };

  explicit DotDecoder(BareNewlines policy, Framing framing = Framing::kDots);

  // Takes from the front of `input`. `piece` points into it, or to static text. The pieces together
  // do not depend on how the bytes are cut into inputs. After kEnd, not to be called again.
  Outcome Next(std::string_view& input, std::string_view& piece);
  // kChunks, after the last chunk: what a CR at the very end stands for (empty mostly).
  std::string_view Finish();

  // Of the content so far, without the dots that were taken off. Also counted: what is not handed
  // out any more after a rejection. A CR counts when what follows it is known.
  uint64_t octets() const { return run_.octets(); }
  // With its CRLF; kTextLine is what RFC 5321 promises.
  uint64_t longest_line_octets() const { return run_.longest_line_octets(); }
  bool has_8bit() const { return run_.has_8bit(); }
  // A NUL is in no message format (RFC 5322 §4) and some servers cut lines at it: refuse such mail.
  bool has_nul() const { return run_.has_nul(); }
  bool has_bare_newline() const { return bare_newline_; }
  bool rejected() const { return bare_newline_ && policy_ == BareNewlines::kReject; }

 private:
  // kDot: behind a dot that began a line, which is taken off; the CRs are not counted yet.
  enum class State : uint8_t { kPlain, kCr, kDot, kDotCr };

  Outcome Step(std::string_view& input, std::string_view& piece);
  std::string_view Newline();
  std::string_view BareNewline();

  BareNewlines policy_;
  State state_ = State::kPlain;
  bool bare_newline_ = false;
  PlainRun run_;
};

// Content made ready for DATA. Bare CR and LF leave as CRLF, whatever was stored: a message whose
// octets must not change goes by BDAT.
class DotEncoder {
 public:
  // Appends the encoding of the next part of the content.
  void Append(std::string_view content, std::string& wire);
  // Appends the end: a CRLF if the content lacks one, and ". CRLF".
  void Finish(std::string& wire);

  // Whether a bare CR or LF was met.
  bool normalised() const { return normalised_; }

 private:
  void Step(std::string_view& content, std::string& wire);
  void Newline(std::string& wire);

  bool after_cr_ = false;  // which is not written yet
  bool normalised_ = false;
  PlainRun run_{PlainRun::Dots::kStop};
};

}  // namespace postern::smtp
