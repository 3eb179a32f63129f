// tools/sendmail/pacer.h — holds back what a script says before the server has answered. Pure.
//
// `sendmail -bs <script` writes a whole dialogue at once. A server that hangs up on early talkers
// and on commands sent ahead (RFC 2920 §3.1) is right to, so each command waits here for the reply
// to the one before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern::sendmail {

class Pacer {
 public:
  void FromClient(std::string_view bytes) { pending_ += bytes; }
  // Nothing more comes: a last line without its newline may go too.
  void ClientEnded() { ended_ = true; }
  void FromServer(std::string_view bytes);

  // What may be sent now.
  std::string Take();
  size_t pending() const { return pending_.size(); }
  // Whether all was handed out that ever will be.
  bool finished() const { return ended_ && pending_.empty(); }

 private:
  void NoteLine(std::string_view line);

  std::string pending_;
  std::string reply_head_;     // the first octets of the server's line so far
  bool waiting_ = true;        // for a reply; the greeting first
  bool in_data_ = false;       // behind 354
  bool after_newline_ = true;  // in_data_: the line before ended in CRLF
  uint64_t chunk_octets_ = 0;  // of BDAT, still to come
  bool ended_ = false;
};

}  // namespace postern::sendmail
