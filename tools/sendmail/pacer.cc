#include "tools/sendmail/pacer.h"

#include <algorithm>

#include "common/smtp/ascii.h"
#include "common/smtp/limits.h"

namespace postern::sendmail {
namespace {

// The size in "BDAT 123 LAST"; 0 for any other command.
uint64_t ChunkOctets(std::string_view line) {
  if (!smtp::EqualsIgnoringCase(line.substr(0, 5), "BDAT ")) return 0;
  line.remove_prefix(5);
  uint64_t octets = 0;
  for (size_t i = 0; i < line.size() && smtp::IsDigit(line[i]); ++i) {
    if (i == smtp::kMaxBdatDigits) return 0;
    octets = octets * 10 + static_cast<uint64_t>(line[i] - '0');
  }
  return octets;
}

}  // namespace

void Pacer::FromServer(std::string_view bytes) {
  constexpr size_t kCodeAndHyphen = 4;
  for (const char c : bytes) {
    if (c != '\n') {
      if (reply_head_.size() < kCodeAndHyphen) reply_head_ += c;
      continue;
    }
    if (!reply_head_.ends_with('-')) {  // the last line of a reply
      waiting_ = false;
      in_data_ = after_newline_ = reply_head_.starts_with("354");
    }
    reply_head_.clear();
  }
}

void Pacer::NoteLine(std::string_view line) {
  if (!in_data_) {
    chunk_octets_ = ChunkOctets(line);
    waiting_ = true;
    return;
  }
  if (line == ".\r\n" && after_newline_) {  // as the server reads it (RFC 5321 §4.1.1.4)
    in_data_ = false;
    waiting_ = true;
  }
  after_newline_ = line.ends_with("\r\n");
}

std::string Pacer::Take() {
  size_t taken = 0;
  while (taken < pending_.size()) {
    const std::string_view left = std::string_view(pending_).substr(taken);
    if (chunk_octets_ > 0) {
      const size_t octets = std::min<uint64_t>(chunk_octets_, left.size());
      chunk_octets_ -= octets;
      taken += octets;
      continue;
    }
    if (waiting_) break;
    size_t end = left.find('\n');
    if (end == std::string_view::npos && !ended_) break;
    end = std::min(end, left.size() - 1) + 1;
    NoteLine(left.substr(0, end));
    taken += end;
  }
  std::string may_go = pending_.substr(0, taken);
  pending_.erase(0, taken);
  return may_go;
}

}  // namespace postern::sendmail
