// common/base/parse_error.h — what a pure parser says of input it refuses.
#pragma once

#include <cstddef>
#include <expected>
#include <string>

namespace postern {

// `reason` is words for a person ("local part is empty") and holds no bytes of the input; `offset`
// is where in the input the parser stopped, in octets.
struct ParseError {
  std::string reason;
  size_t offset = 0;

  friend bool operator==(const ParseError&, const ParseError&) = default;
};

template <class T>
using Parsed = std::expected<T, ParseError>;

inline std::unexpected<ParseError> Malformed(std::string reason, size_t offset = 0) {
  return std::unexpected(ParseError{std::move(reason), offset});
}

}  // namespace postern
