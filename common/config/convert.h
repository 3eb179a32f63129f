// common/config/convert.h — between Values, Settings and the unquoted text of declarations.
#pragma once

#include <string>
#include <string_view>

#include "common/config/report.h"
#include "common/config/setting.h"
#include "common/config/value.h"

namespace postern::config {

// Checks `value` against the declaration and stores it. What is wrong goes to `report`, in words
// that say what to write; then the member is left as it was, or lists lack the bad elements.
void Store(const Setting& setting, const Value& value, Settings& settings, Report& report);

// What is stored, as a value that Store would take.
Value Load(const Setting& setting, const Settings& settings);

bool IsSame(const Setting& setting, const Settings& a, const Settings& b);

// `text` without quotes, typed as the declaration says: lists split at commas, routes at '=' too.
// Text that does not fit the type stays a text, for Store to complain about.
Value FromText(const Setting& setting, std::string_view text);

// "1 to 50000 recipients", "1s to 1h, or 0: no limit"; "" if the setting has no range.
std::string RangeOf(const Setting& setting);

// "a whole number", "a list of address:port", for problems and documentation.
std::string_view KindName(Kind kind);

// `name = value`, as the file has it.
std::string Line(const Setting& setting, std::string_view unquoted);

}  // namespace postern::config
