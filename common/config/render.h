// common/config/render.h — TOML text from "key=value" pairs, as `dev instance --set` takes them.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/config/parse.h"

namespace postern::config {

using KeyValue = std::pair<std::string, std::string>;

struct Rendered {
  std::string toml;               // what was understood
  std::vector<Problem> problems;  // unknown keys, values that cannot be written; line n: pair n
};

// A commented TOML text, sections in the order of the documentation. A key is written dotted
// ("smtp.max_recipients"), a value without quotes: its declaration says how to write it. Lists are
// split at commas; outbound.routes takes "domain=next hop" (commas between several). Of a key given
// twice the last value holds, except that lists and tables grow: each pair adds to them; an empty
// value empties them. Ranges are checked by Parse, not here.
Rendered RenderToml(std::span<const KeyValue> pairs);

// "smtp.max_recipients=2" split at its first '='; nullopt without one.
std::optional<KeyValue> SplitKeyValue(std::string_view text);

}  // namespace postern::config
