// common/config/toml_reader.h — TOML syntax to Values. The only place that knows toml++.
#pragma once

#include <string>
#include <string_view>

#include "common/config/value.h"

namespace postern::config {

struct Syntax {
  bool ok = false;
  Value document;      // a table, when ok
  Position at;         // of the first error, when not
  std::string reason;  // toml++'s words; may hold bytes of the text
};

// Reads one document of any size; toml++ caps nesting at 256.
Syntax ReadToml(std::string_view text);

}  // namespace postern::config
