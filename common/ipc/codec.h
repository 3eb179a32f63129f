// common/ipc/codec.h — messages between our processes as bytes, from one field list each.
//
// A message is a struct with a static member
//     template <class V, class M> static void Fields(V& v, M& m) { v("id", m.id); v("text", m.text,
//     512); }
// which encoding, decoding, printing, comparing and fuzzing all use. The third argument bounds what
// a compromised sibling may send: octets of a string, elements of a vector (a fourth: octets of
// each string in it), the last enumerator of an enum. Integers are little-endian and of their own
// width, strings and vectors have a 32-bit count in front, optionals a presence octet.
//
// Pure: no I/O and no compiled Abseil.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/escape.h"
#include "common/base/parse_error.h"

namespace postern::ipc {

template <class T>
concept HasFields = requires { T::kHasFields; };

namespace internal {
template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsText = std::same_as<T, std::string> || std::same_as<T, std::string_view>;
template <class T>
using Unsigned = std::make_unsigned_t<T>;
}  // namespace internal

// Appends to `out`; ok() is false once a field was beyond its bound (nothing may be sent then).
class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}
  bool ok() const { return ok_; }

  template <class T>
  void operator()(const char*, const T& value, uint64_t bound = 0, uint64_t element_bound = 0) {
    Put(value, bound, element_bound);
  }

 private:
  template <class T>
  void Put(const T& value, uint64_t bound, uint64_t element_bound) {
    if constexpr (HasFields<T>) {
      T::Fields(*this, value);
    } else if constexpr (internal::kIsText<T>) {
      ok_ = ok_ && value.size() <= bound;
      AppendLittleEndian(out_, static_cast<uint32_t>(value.size()));
      out_.append(value);
    } else if constexpr (internal::kIsVector<T>) {
      ok_ = ok_ && value.size() <= bound;
      AppendLittleEndian(out_, static_cast<uint32_t>(value.size()));
      for (const auto& element : value) Put(element, element_bound, 0);
    } else if constexpr (internal::kIsOptional<T>) {
      AppendLittleEndian(out_, static_cast<uint8_t>(value.has_value()));
      if (value.has_value()) Put(*value, bound, element_bound);
    } else if constexpr (std::is_enum_v<T>) {
      const auto number = static_cast<internal::Unsigned<std::underlying_type_t<T>>>(value);
      ok_ = ok_ && number <= bound;
      AppendLittleEndian(out_, number);
    } else if constexpr (std::same_as<T, bool>) {
      AppendLittleEndian(out_, static_cast<uint8_t>(value));
    } else {
      AppendLittleEndian(out_, static_cast<internal::Unsigned<T>>(value));
    }
  }

  std::string& out_;
  bool ok_ = true;
};

// Reads fields in order; after the first failure everything stays as it is and ok() is false. A
// std::string_view field points into the input.
class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}
  bool ok() const { return failed_ == nullptr; }
  const char* failed_field() const { return failed_; }
  size_t left() const { return in_.size(); }

  template <class T>
  void operator()(const char* name, T& value, uint64_t bound = 0, uint64_t element_bound = 0) {
    if (ok() && !Get(value, bound, element_bound) && failed_ == nullptr) failed_ = name;
  }

 private:
  template <std::unsigned_integral T>
  bool GetInteger(T& value) {
    if (in_.size() < sizeof value) return false;
    value = LoadLittleEndian<T>(in_.data());
    in_.remove_prefix(sizeof value);
    return true;
  }

  template <class T>
  bool Get(T& value, uint64_t bound, uint64_t element_bound) {
    if constexpr (HasFields<T>) {
      T::Fields(*this, value);
      return ok();
    } else if constexpr (internal::kIsText<T>) {
      uint32_t octets;
      if (!GetInteger(octets) || octets > bound || octets > in_.size()) return false;
      value = T(in_.substr(0, octets));
      in_.remove_prefix(octets);
      return true;
    } else if constexpr (internal::kIsVector<T>) {
      uint32_t count;
      // Every element takes at least an octet: a count beyond what is there cannot make us
      // allocate.
      if (!GetInteger(count) || count > bound || count > in_.size()) return false;
      value.clear();
      for (uint32_t i = 0; i < count; ++i) {
        if (!Get(value.emplace_back(), element_bound, 0)) return false;
      }
      return true;
    } else if constexpr (internal::kIsOptional<T>) {
      bool present;
      if (!Get(present, 0, 0)) return false;
      value.reset();
      return !present || Get(value.emplace(), bound, element_bound);
    } else if constexpr (std::is_enum_v<T>) {
      internal::Unsigned<std::underlying_type_t<T>> number;
      if (!GetInteger(number) || number > bound) return false;
      value = static_cast<T>(number);
      return true;
    } else if constexpr (std::same_as<T, bool>) {
      uint8_t number;
      if (!GetInteger(number) || number > 1) return false;
      value = number != 0;
      return true;
    } else {
      internal::Unsigned<T> number;
      if (!GetInteger(number)) return false;
      value = static_cast<T>(number);
      return true;
    }
  }

  std::string_view in_;
  const char* failed_ = nullptr;
};

// Prints "name=value" pairs, foreign bytes escaped, long texts cut: for incident lines and tests.
class Printer {
 public:
  static constexpr size_t kMaxTextOctets = 80;

  template <class T>
  void operator()(const char* name, const T& value, uint64_t = 0, uint64_t = 0) {
    if (!text_.empty() && text_.back() != '{') text_ += ' ';
    text_ += name;
    text_ += '=';
    Print(value);
  }
  std::string Take() && { return std::move(text_); }

 private:
  template <class T>
  void Print(const T& value) {
    if constexpr (HasFields<T>) {
      text_ += '{';
      T::Fields(*this, value);
      text_ += '}';
    } else if constexpr (internal::kIsText<T>) {
      text_ += '"' + Escaped(value, kMaxTextOctets) + '"';
    } else if constexpr (internal::kIsVector<T>) {
      text_ += '[';
      for (size_t i = 0; i < value.size(); ++i) {
        if (i > 0) text_ += ", ";
        Print(value[i]);
      }
      text_ += ']';
    } else if constexpr (internal::kIsOptional<T>) {
      if (value.has_value()) {
        Print(*value);
      } else {
        text_ += "none";
      }
    } else if constexpr (std::is_enum_v<T>) {
      text_ += std::to_string(static_cast<std::underlying_type_t<T>>(value));
    } else {
      text_ += std::to_string(value);
    }
  }

  std::string text_;
};

// False if a field is beyond its bound; `out` is then to be thrown away.
template <class M>
[[nodiscard]] bool Encode(const M& message, std::string& out) {
  Encoder encoder(out);
  M::Fields(encoder, message);
  return encoder.ok();
}

// The whole input must be the message: trailing octets are refused.
template <class M>
Parsed<M> Decode(std::string_view in) {
  M message{};
  Decoder decoder(in);
  M::Fields(decoder, message);
  if (!decoder.ok()) {
    return Malformed(
        std::string("field ") + decoder.failed_field() + " is cut off or out of bounds",
        in.size() - decoder.left());
  }
  if (decoder.left() > 0) return Malformed("octets follow the message", in.size() - decoder.left());
  return message;
}

template <class M>
std::string ToText(const M& message) {
  Printer printer;
  M::Fields(printer, message);
  return std::move(printer).Take();
}

}  // namespace postern::ipc
