// common/config/suggest.h — what a misspelt word probably was.
#pragma once

#include <cstddef>
#include <string_view>

namespace postern::config {

// Insertions, deletions, replacements and swaps of neighbours between two words (the restricted
// Damerau-Levenshtein distance), in octets.
size_t EditDistance(std::string_view a, std::string_view b);

// The full dotted name of the nearest setting, or "" if none is near. A known name in the wrong
// section counts as near.
std::string_view NearestSetting(std::string_view key);

// The nearest section's name, or "".
std::string_view NearestSection(std::string_view name);

}  // namespace postern::config
