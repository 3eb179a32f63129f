// common/smtp/newline_checker.h — finds bare CR and LF in content that came by BDAT, where nothing
// else looks at line ends (RFC 5321 §2.3.8; only BODY=BINARYMIME may have them, RFC 3030 §3).
#pragma once

#include <cstring>
#include <string>
#include <string_view>

namespace postern::smtp {

class NewlineChecker {
 public:
  // Appends `content` to `out` with bare newlines made into CRLF.
  void Normalise(std::string_view content, std::string& out) {
    for (const char c : content) {
      if (after_cr_) {
        after_cr_ = false;
        out += "\r\n";
        if (c == '\n') continue;
        bare_ = true;
      }
      if (c == '\r') {
        after_cr_ = true;
      } else if (c == '\n') {
        bare_ = true;
        out += "\r\n";
      } else {
        out += c;
      }
    }
  }
  // Nothing more comes: a CR at the very end was bare.
  void Finish(std::string& out) {
    if (after_cr_) {
      bare_ = true;
      out += "\r\n";
    }
    after_cr_ = false;
  }
  bool has_bare_newline() const { return bare_; }

 private:
  bool after_cr_ = false;
  bool bare_ = false;
};

}  // namespace postern::smtp
