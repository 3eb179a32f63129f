#include "common/mime/header_edit.h"

#include <algorithm>

namespace postern::mime {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// The line at the front of `text`, with its newline.
std::string_view Line(std::string_view text) {
  const size_t lf = text.find('\n');
  return text.substr(0, lf == text.npos ? lf : lf + 1);
}

bool IsEmptyLine(std::string_view line) { return line == "\r\n" || line == "\n"; }

// The name of the field that `line` begins; empty if it begins none.
std::string_view Name(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == line.npos) return {};
  std::string_view name = line.substr(0, colon);
  while (!name.empty() && IsBlank(name.back())) name.remove_suffix(1);
  const auto good = [](char c) { return c > 32 && c < 127; };
  return std::all_of(name.begin(), name.end(), good) ? name : std::string_view();
}

// The octets of the field at the front of `text`, continuation lines and all; 0 if none is there.
size_t FieldOctets(std::string_view text) {
  if (Name(Line(text)).empty()) return 0;
  size_t octets = Line(text).size();
  while (octets < text.size() && IsBlank(text[octets])) octets += Line(text.substr(octets)).size();
  return octets;
}

}  // namespace

SplitMessage SplitHeader(std::string_view content, size_t max_octets) {
  size_t at = 0;
  while (at < content.size()) {
    const std::string_view rest = content.substr(at);
    const std::string_view line = Line(rest);
    if (IsEmptyLine(line)) return {content.substr(0, at), rest.substr(line.size()), false};
    const size_t octets = FieldOctets(rest);
    if (octets == 0) return {content.substr(0, at), rest, false};
    if (at + octets > max_octets) return {content.substr(0, at), rest, true};
    at += octets;
  }
  return {content, {}, false};
}

std::string WithoutFields(std::string_view header, std::initializer_list<std::string_view> names) {
  std::string kept;
  kept.reserve(header.size());
  while (!header.empty()) {
    // What is no field stays, line by line.
    const size_t octets = std::max(FieldOctets(header), Line(header).size());
    const std::string_view name = Name(Line(header));
    const bool dropped =
        !name.empty() && std::any_of(names.begin(), names.end(), [&](std::string_view n) {
          return EqualsIgnoringCase(n, name);
        });
    if (!dropped) kept += header.substr(0, octets);
    header.remove_prefix(octets);
  }
  return kept;
}

std::optional<std::string> FindField(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const size_t octets = std::max(FieldOctets(header), Line(header).size());
    const std::string_view field = header.substr(0, octets);
    header.remove_prefix(octets);
    if (!EqualsIgnoringCase(Name(Line(field)), name)) continue;
    std::string value(field.substr(field.find(':') + 1));
    std::erase_if(value, [](char c) { return c == '\r' || c == '\n'; });
    const size_t begin = value.find_first_not_of(" \t");
    if (begin == value.npos) return "";
    return value.substr(begin, value.find_last_not_of(" \t") + 1 - begin);
  }
  return std::nullopt;
}

}  // namespace postern::mime
