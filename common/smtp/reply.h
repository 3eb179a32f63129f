// common/smtp/reply.h — one SMTP reply (RFC 5321 §4.2) with its enhanced status code (RFC 2034,
// RFC 3463).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/parse_error.h"

namespace postern::smtp {

// class.subject.detail; class 0: none.
struct EnhancedCode {
  uint16_t klass = 0;    // 2, 4 or 5
  uint16_t subject = 0;  // 0 to 999
  uint16_t detail = 0;   // 0 to 999

  // "5.1.1", exactly.
  static Parsed<EnhancedCode> Parse(std::string_view text);
  constexpr bool present() const { return klass != 0; }
  std::string ToString() const;  // empty when there is none
  friend constexpr bool operator==(const EnhancedCode&, const EnhancedCode&) = default;
};

struct Reply {
  int code = 0;  // 200 to 599
  EnhancedCode enhanced;
  std::string text;  // lines joined by '\n'; never with codes in front

  // The first digit is the verdict (RFC 5321 §4.2.1).
  int klass() const { return code / 100; }
  bool positive() const { return klass() == 2; }
  bool intermediate() const { return klass() == 3; }
  bool transient() const { return klass() == 4; }
  bool permanent() const { return klass() == 5; }

  // "550 5.1.1 No such user", lines joined by "; ": for logs and notices. Foreign bytes stay as
  // they are: escape before printing.
  std::string ToString() const;
  friend bool operator==(const Reply&, const Reply&) = default;
};

// Appends `reply` to `wire`: each line with the code, the enhanced code if there is one, and CRLF;
// lines longer than kReplyLine are broken, after a space where there is one. Control characters in
// the text become '?', so that foreign words can never make a line of their own.
void AppendReply(const Reply& reply, std::string& wire);
void AppendReply(int code, const EnhancedCode& enhanced, std::string_view text, std::string& wire);
std::string FormatReply(const Reply& reply);

}  // namespace postern::smtp
