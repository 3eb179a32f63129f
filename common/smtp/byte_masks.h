// common/smtp/byte_masks.h — where in 64 octets of content the few octets are that matter, as bit
// masks (bit i: octet i). All the scanning of message content stands on this: every octet passes it
// once.
#pragma once

#include <cstdint>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace postern::smtp {

struct ByteMasks {
  uint64_t cr = 0;
  uint64_t lf = 0;
  uint64_t dot = 0;
  uint64_t nul = 0;
  uint64_t high = 0;  // above 127
};

inline constexpr int kMaskedOctets = 64;

// The portable form, for other machines and for tests.
inline ByteMasks MasksOfPortable(const char* bytes) {
  ByteMasks masks;
  for (int i = 0; i < kMaskedOctets; ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    masks.cr |= static_cast<uint64_t>(byte == '\r') << i;
    masks.lf |= static_cast<uint64_t>(byte == '\n') << i;
    masks.dot |= static_cast<uint64_t>(byte == '.') << i;
    masks.nul |= static_cast<uint64_t>(byte == 0) << i;
    masks.high |= static_cast<uint64_t>(byte >= 0x80) << i;
  }
  return masks;
}

// Reads 64 octets; no alignment is needed.
inline ByteMasks MasksOf(const char* bytes) {
#if defined(__SSE2__)
  ByteMasks masks;
  for (int i = 0; i < kMaskedOctets; i += 16) {
    const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + i));
    const auto bits = [&](__m128i equal) {
      return static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(equal))) << i;
    };
    masks.cr |= bits(_mm_cmpeq_epi8(part, _mm_set1_epi8('\r')));
    masks.lf |= bits(_mm_cmpeq_epi8(part, _mm_set1_epi8('\n')));
    masks.dot |= bits(_mm_cmpeq_epi8(part, _mm_set1_epi8('.')));
    masks.nul |= bits(_mm_cmpeq_epi8(part, _mm_setzero_si128()));
    masks.high |= bits(part);
  }
  return masks;
#else
  return MasksOfPortable(bytes);
#endif
}

}  // namespace postern::smtp
