// common/base/bytes.h — integers in byte strings, little-endian, without alignment.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <string>

namespace postern {

static_assert(std::endian::native == std::endian::little, "Load and Store copy native integers");

template <std::unsigned_integral T>
T LoadLittleEndian(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <std::unsigned_integral T>
void StoreLittleEndian(char* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

template <std::unsigned_integral T>
void AppendLittleEndian(std::string& to, T value) {
  char bytes[sizeof value];
  StoreLittleEndian(bytes, value);
  to.append(bytes, sizeof bytes);
}

}  // namespace postern
