// common/smtp/plain_run.h — finds how much of message content passes on as it is, and looks at it
// on the way: what the dot decoder and encoder share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace postern::smtp {

class PlainRun {
 public:
  // Where to stop besides bare newlines: at a dot that begins a line, or nowhere.
  enum class Dots : uint8_t { kStop, kPass };

  explicit PlainRun(Dots dots) : dots_(dots) {}

  // The length of the longest start of `text` that holds CRLF newlines alone, does not end within
  // one, and has no line-beginning dot. What follows it is '.', CR (perhaps of a CRLF whose LF is
  // still to come) or LF. It is counted.
  size_t Next(std::string_view text);

  // Told by the owner, who handles what stands between the runs.
  void AddOctets(uint64_t octets) { line_octets_ += octets; }
  void EndLine();                                     // a newline was met, its octets added before
  void set_line_start(bool at) { line_start_ = at; }  // whether a dot here begins a line

  bool line_start() const { return line_start_; }
  uint64_t octets() const { return done_octets_ + line_octets_; }
  uint64_t longest_line_octets() const;
  bool has_8bit() const { return eight_bit_; }
  bool has_nul() const { return nul_; }

 private:
  size_t Block(const char* bytes, size_t size);
  void Count(uint64_t newlines, size_t size);

  Dots dots_;
  bool line_start_ = true;
  bool eight_bit_ = false;
  bool nul_ = false;
  uint64_t done_octets_ = 0;  // of lines that have ended
  uint64_t line_octets_ = 0;  // of the line at hand
  uint64_t longest_ = 0;
};

}  // namespace postern::smtp
