#include "common/config/wrap.h"

#include <algorithm>

namespace postern::config {

std::string Wrapped(std::string_view text, std::string_view first, std::string_view rest,
                    size_t width) {
  std::string wrapped;
  std::string line(first);
  size_t indent = line.size();
  while (!text.empty()) {
    const size_t word = text.find_first_not_of(' ');
    if (word == text.npos) break;
    const size_t end = std::min(text.find(' ', word), text.size());
    if (line.size() + end > width && line.size() > indent) {
      wrapped += line + "\n";
      line = rest;
      indent = line.size();
      text.remove_prefix(word);
      continue;
    }
    line += text.substr(0, end);
    text.remove_prefix(end);
  }
  return wrapped + line + "\n";
}

}  // namespace postern::config
