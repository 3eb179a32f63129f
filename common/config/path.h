// common/config/path.h — file names of the configuration, cleaned without a look at the disk.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/parse_error.h"

namespace postern::config {

// sun_path without its final zero (unix(7)).
inline constexpr size_t kMaxSocketPathOctets = 107;

// Drops doubled and final slashes and "." parts. Refuses "..", control characters, more than 4095
// octets and the empty path.
Parsed<std::string> CleanPath(std::string_view text);

// `path` as it is when absolute, otherwise below `root` (absolute). Both are clean.
std::string Below(std::string_view root, std::string_view path);

// What stands in front of the last slash; "" without one.
std::string_view DirectoryOf(std::string_view path);

// True if `path` is `directory` or lies in it. Both are clean and absolute.
bool IsWithin(std::string_view directory, std::string_view path);

}  // namespace postern::config
