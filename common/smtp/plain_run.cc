#include "common/smtp/plain_run.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/smtp/byte_masks.h"

namespace postern::smtp {
namespace {

// The bits below `size`.
constexpr uint64_t Below(size_t size) {
  return size >= 64 ? ~uint64_t{0} : (uint64_t{1} << size) - 1;
}

}  // namespace

void PlainRun::EndLine() {
  longest_ = std::max(longest_, line_octets_);
  done_octets_ += line_octets_;
  line_octets_ = 0;
}

uint64_t PlainRun::longest_line_octets() const { return std::max(longest_, line_octets_); }

size_t PlainRun::Next(std::string_view text) {
  size_t at = 0;
  while (text.size() - at >= kMaskedOctets) {
    const size_t passed = Block(text.data() + at, kMaskedOctets);
    at += passed;
    // 63: the block ended in a CR, which begins the next one.
    if (passed < kMaskedOctets - 1) return at;
    if (passed == kMaskedOctets - 1 && text[at] != '\r') return at;
  }
  // The rest, padded with octets that mean nothing; a CR at its end is seen as a bare one there.
  char block[kMaskedOctets];
  const size_t rest = text.size() - at;
  std::memset(block, 'x', sizeof block);
  std::memcpy(block, text.data() + at, rest);
  return at + std::min(Block(block, rest), rest);
}

// Passes on what is plain of 64 octets at `bytes`, of which `size` count.
size_t PlainRun::Block(const char* bytes, size_t size) {
  const ByteMasks masks = MasksOf(bytes);
  // A newline is good where a CR stands right in front of it; a run never begins behind a CR.
  const uint64_t bad = (masks.cr << 1) ^ masks.lf;
  uint64_t stops = (bad & masks.lf) | ((bad & ~masks.lf) >> 1) | (masks.cr & (uint64_t{1} << 63));
  if (dots_ == Dots::kStop) stops |= ((masks.lf << 1) | (line_start_ ? 1 : 0)) & masks.dot;
  const size_t passed = std::min<size_t>(static_cast<size_t>(std::countr_zero(stops)), size);
  if (passed == 0) return 0;
  const uint64_t here = Below(passed);
  eight_bit_ |= (masks.high & here) != 0;
  nul_ |= (masks.nul & here) != 0;
  line_start_ = (masks.lf >> (passed - 1) & 1) != 0;
  Count(masks.lf & here, passed);
  return passed;
}

void PlainRun::Count(uint64_t newlines, size_t size) {
  size_t begin = 0;
  for (; newlines != 0; newlines &= newlines - 1) {
    const size_t end = static_cast<size_t>(std::countr_zero(newlines)) + 1;
    line_octets_ += end - begin;
    EndLine();
    begin = end;
  }
  line_octets_ += size - begin;
}

}  // namespace postern::smtp
