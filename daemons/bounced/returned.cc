#include "daemons/bounced/returned.h"

#include <algorithm>
#include <cstdint>

#include "daemons/bounced/limits.h"

namespace postern::bounced {
namespace {

// The first line of `rest` without its end, which is CRLF or LF; `rest` goes on behind it.
std::string_view TakeLine(std::string_view& rest) {
  const size_t newline = rest.find('\n');
  std::string_view line = rest.substr(0, newline);
  rest.remove_prefix(newline == rest.npos ? rest.size() : newline + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

char Cleaned(char c) {
  return (static_cast<uint8_t>(c) < ' ' && c != '\t') || c == '\x7F' ? '?' : c;
}

}  // namespace

std::string HeaderSection(std::string_view message) {
  std::string header;
  while (!message.empty()) {
    const std::string_view line = TakeLine(message).substr(0, kMaxLineOctets);
    if (line.empty() || header.size() + line.size() + 2 > kMaxReturnedHeaderOctets) break;
    std::ranges::transform(line, std::back_inserter(header), Cleaned);
    header += "\r\n";
  }
  return header;
}

std::optional<std::string> WholeMessage(std::string_view message) {
  if (message.size() > kMaxReturnedMessageOctets) return std::nullopt;
  if (message.find('\0') != message.npos) return std::nullopt;
  for (std::string_view rest = message; !rest.empty();) {
    const size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    if (line.size() > kMaxLineOctets) return std::nullopt;
    if (line.find_first_of("\r\n") != line.npos) return std::nullopt;
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 2);
  }
  std::string whole(message);
  if (!whole.ends_with("\r\n")) whole += "\r\n";
  return whole;
}

}  // namespace postern::bounced
