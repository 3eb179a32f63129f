// common/config/parse.h — from the text of postern.toml to Settings, or to a list of all that is
// wrong with it. Pure: no file is opened, no name looked up, so master and every daemon come to the
// same settings from the same text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/settings.h"

namespace postern::config {

// Something a person has to change. Line and column count from 1; the column is in characters, as
// editors show it. `message` is one sentence that says what to type instead, foreign bytes escaped.
struct Problem {
  std::string file;
  int line = 1;
  int column = 1;
  std::string message;

  // "file:line:column: message"
  std::string ToString() const;
  friend bool operator==(const Problem&, const Problem&) = default;
};

// Either settings or at least one problem, never both; problems come in the order of the text.
struct Outcome {
  std::optional<Settings> settings;
  std::vector<Problem> problems;

  bool ok() const { return settings.has_value(); }
};

// The longest text read, in octets: a larger file is no configuration.
inline constexpr size_t kMaxTextOctets = 4 << 20;

// Checks the whole text and fills in all defaults. Afterwards every path is absolute: a relative
// one lies under `root`, and a relative `root` under `base_directory` (absolute; "" means: the
// directory of `file_name`, if that is absolute). `file_name` is printed in problems.
Outcome Parse(std::string_view text, std::string_view file_name,
              std::string_view base_directory = "");

}  // namespace postern::config
