// common/mime/header_edit.h — cutting header sections out of messages, and fields out of them.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace postern::mime {

struct SplitMessage {
  std::string_view header;  // whole fields with their newlines, without the empty line
  std::string_view body;    // behind the empty line, or from the first line that is no field
  bool cut = false;  // the section was longer than allowed: `header` is its first whole fields,
                     // `body` all that follows
};

// The views live as long as `content`. `max_octets` bounds the header. A message without an empty
// line is all header if it consists of fields.
SplitMessage SplitHeader(std::string_view content, size_t max_octets);

// `header` without the fields named (case ignored), continuation lines and all; every other octet
// stays as it is.
std::string WithoutFields(std::string_view header, std::initializer_list<std::string_view> names);
// What final delivery, and submission, must drop (RFC 5321 §4.4, RFC 5322 §3.6.3).
inline std::string WithoutReturnPath(std::string_view header) {
  return WithoutFields(header, {"Return-Path"});
}
inline std::string WithoutBcc(std::string_view header) {
  return WithoutFields(header, {"Bcc", "Resent-Bcc"});
}

// The unfolded, trimmed value of the first field of that name.
std::optional<std::string> FindField(std::string_view header, std::string_view name);

}  // namespace postern::mime
