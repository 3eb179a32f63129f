#include "common/config/path.h"

#include <algorithm>

namespace postern::config {

Parsed<std::string> CleanPath(std::string_view text) {
  if (text.empty()) return Malformed("the path is empty");
  if (text.size() > 4095) return Malformed("the path is longer than 4095 octets", 4095);
  for (size_t i = 0; i < text.size(); ++i)
    if (static_cast<unsigned char>(text[i]) < 0x20 || text[i] == 0x7f)
      return Malformed("the path has a control character", i);
  std::string clean;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('/', at), text.size());
    const std::string_view part = text.substr(at, end - at);
    if (part == "..") return Malformed("a path is written without \"..\"", at);
    if (!part.empty() && part != ".") {
      if (!clean.empty() || text[0] == '/') clean += '/';
      clean += part;
    }
    at = end + 1;
  }
  if (clean.empty()) return text[0] == '/' ? "/" : ".";
  return clean;
}

std::string Below(std::string_view root, std::string_view path) {
  if (path.starts_with('/')) return std::string(path);
  if (path == ".") return std::string(root);
  std::string joined(root == "/" ? std::string_view() : root);
  return joined.append("/").append(path);
}

std::string_view DirectoryOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return {};
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool IsWithin(std::string_view directory, std::string_view path) {
  if (!path.starts_with(directory)) return false;
  return directory == "/" || path.size() == directory.size() || path[directory.size()] == '/';
}

}  // namespace postern::config
