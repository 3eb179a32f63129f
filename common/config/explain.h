// common/config/explain.h — the declarations of all settings as text for people.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/config/settings.h"

namespace postern::config {

// What `postern explain KEY` prints: a setting's type, unit, default, range, whether a reload takes
// it, help and example, and with `current` the value in force; for a section ("smtp") its keys, one
// a line; for "" all keys. Unknown: nullopt, and NearestKey has a proposal.
std::optional<std::string> Explain(std::string_view key, const Settings* current = nullptr);

// The known key or section nearest to a misspelt one; "" if none is near.
std::string NearestKey(std::string_view key);

// conf/postern.toml: every setting commented out at its default, the two to fill in on top.
std::string DefaultFile();

// docs/configuration.md.
std::string DocumentationPage();

}  // namespace postern::config
