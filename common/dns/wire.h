// common/dns/wire.h — integers in network order at the head of what is left of a message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::dns {

inline uint8_t Load8(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }
inline uint16_t Load16(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(Load8(bytes, at) << 8 | Load8(bytes, at + 1));
}
inline uint32_t Load32(std::string_view bytes, size_t at) {
  return uint32_t{Load16(bytes, at)} << 16 | Load16(bytes, at + 2);
}

inline void Append8(std::string& to, uint8_t value) { to += static_cast<char>(value); }
inline void Append16(std::string& to, uint16_t value) {
  Append8(to, static_cast<uint8_t>(value >> 8));
  Append8(to, static_cast<uint8_t>(value & 0xFF));
}
inline void Append32(std::string& to, uint32_t value) {
  Append16(to, static_cast<uint16_t>(value >> 16));
  Append16(to, static_cast<uint16_t>(value & 0xFFFF));
}

}  // namespace postern::dns
