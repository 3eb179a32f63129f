// daemons/deliver/text.h — a message as mailbox files hold it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::deliver {

// CRLF becomes LF, in any pieces. A CR that no LF follows stays.
class CrlfToLf {
 public:
  void Append(std::string_view piece, std::string& out);
  void Finish(std::string& out);

 private:
  bool after_cr_ = false;
};

// What final delivery puts in front (RFC 5321 §4.4): Return-Path, Delivered-To; with LF.
std::string DeliveryFields(std::string_view sender, std::string_view recipient);

// The front of a message without the Return-Path fields it came with. `front` must hold the whole
// header section if that is at most kMaxHeader octets; a longer one stays as it is.
inline constexpr size_t kMaxHeader = 64u << 10;
std::string WithoutReturnPaths(std::string_view front);

// The separator line of an mbox ("From sender date"), and its quoting: a ">" in front of each line
// that begins with ">"s (or none) and "From " (the reversible form).
std::string FromLine(std::string_view sender, int64_t unix_seconds);
class MboxQuoter {
 public:
  // `piece` has LF lines; lines may be cut between pieces.
  void Append(std::string_view piece, std::string& out);
  void Finish(std::string& out);

 private:
  bool line_start_ = true;
  std::string held_;  // the start of a line that may be a From line
};

}  // namespace postern::deliver
