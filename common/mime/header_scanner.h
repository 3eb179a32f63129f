// common/mime/header_scanner.h — what an MTA must know of a message's header section while it
// passes: where it ends, how large it is, how many hops the message has made.
//
// Incremental: what is found does not depend on how the message is cut. Keeps the name and value at
// hand, bounded, and nothing else. The section ends at an empty line, or in front of a line that is
// neither field nor continuation: a message without a header is all body. Lines end in CRLF; a bare
// LF counts as one too, as many readers take it so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/mime/limits.h"

namespace postern::mime {

class HeaderScanner {
 public:
  enum class Values : uint8_t { kDrop, kKeep };

  // With Values::kKeep the values of Delivered-To fields are kept (loops of local delivery).
  explicit HeaderScanner(Values values = Values::kDrop) : values_(values) {}

  // The next part of the content; costs nothing once the section has ended.
  void Scan(std::string_view piece);
  // The content is over: a field still open ends here.
  void Finish();

  // Whether the end was seen: the empty line, or the first line of a body that has none in front.
  bool ended() const { return state_ == State::kEnded; }
  // Of the header section so far, the empty line included when there is one.
  uint64_t octets() const { return octets_; }
  // Fields by name, case ignored; a field counts as soon as its colon is read.
  int fields() const { return fields_; }
  int received_fields() const { return received_; }
  int from_fields() const { return from_; }
  int date_fields() const { return date_; }
  int message_id_fields() const { return message_id_; }
  int return_path_fields() const { return return_path_; }
  int delivered_to_fields() const { return delivered_to_count_; }
  bool has_from() const { return from_ > 0; }
  bool has_date() const { return date_ > 0; }
  bool has_message_id() const { return message_id_ > 0; }
  // Whether an octet above 127 was seen in a value (RFC 6532: the message needs SMTPUTF8).
  bool has_8bit() const { return eight_bit_; }
  // Unfolded and trimmed, cut at kMaxValueOctets, the first kMaxDeliveredTo of them.
  const std::vector<std::string>& delivered_to() const { return delivered_to_; }

 private:
  enum class State : uint8_t { kLineStart, kCrAtLineStart, kName, kNameSpace, kValue, kEnded };

  size_t Take(std::string_view piece);
  size_t TakeValue(std::string_view piece);
  void BeginLine(char c);
  void EndName();
  void EndField();
  void EndSection(uint64_t line_in_header);

  Values values_;
  State state_ = State::kLineStart;
  uint64_t octets_ = 0;
  uint64_t line_octets_ = 0;  // of the line that may yet turn out to be body
  int fields_ = 0;
  int received_ = 0;
  int from_ = 0;
  int date_ = 0;
  int message_id_ = 0;
  int return_path_ = 0;
  int delivered_to_count_ = 0;
  bool eight_bit_ = false;
  bool keeping_ = false;  // the field at hand is one whose value is kept
  std::string name_;      // lower-case
  std::string value_;
  std::vector<std::string> delivered_to_;
};

}  // namespace postern::mime
