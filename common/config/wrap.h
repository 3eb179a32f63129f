// common/config/wrap.h — paragraphs of a given width.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace postern::config {

// `text` broken at spaces into lines of at most `width` octets (a longer word stands alone), the
// first behind `first`, the others behind `rest`; each line ends in LF. Runs of spaces stay inside
// a line.
std::string Wrapped(std::string_view text, std::string_view first, std::string_view rest,
                    size_t width);

}  // namespace postern::config
