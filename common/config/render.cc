#include "common/config/render.h"

#include <algorithm>
#include <map>

#include "common/base/escape.h"
#include "common/config/convert.h"
#include "common/config/setting.h"
#include "common/config/suggest.h"

namespace postern::config {
namespace {

using Values = std::map<std::string_view, Value>;

void Merge(Value& to, Value&& value) {
  const bool is_growing = to.type == value.type && !(value.items.empty() && value.members.empty());
  if (!is_growing) {
    to = std::move(value);
    return;
  }
  for (Value& item : value.items) to.items.push_back(std::move(item));
  for (Member& member : value.members) {
    const auto same = std::find_if(to.members.begin(), to.members.end(),
                                   [&](const Member& m) { return m.key == member.key; });
    if (same == to.members.end()) {
      to.members.push_back(std::move(member));
    } else {
      same->value = std::move(member.value);
    }
  }
}

void RenderSection(const Section& section, const Values& values, std::string& toml) {
  bool is_first = true;
  for (const Setting& setting : section.settings) {
    const auto found = values.find(setting.key);
    if (found == values.end()) continue;
    if (is_first && !section.name.empty())
      toml.append(toml.empty() ? "[" : "\n[").append(section.name).append("]\n");
    is_first = false;
    toml.append(setting.name()).append(" = ").append(found->second.ToToml());
    if (const std::string range = RangeOf(setting); !range.empty()) toml += "  # " + range;
    toml += '\n';
  }
}

}  // namespace

std::optional<KeyValue> SplitKeyValue(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == text.npos) return std::nullopt;
  return KeyValue(text.substr(0, equals), text.substr(equals + 1));
}

Rendered RenderToml(std::span<const KeyValue> pairs) {
  Rendered rendered;
  Values values;
  int number = 0;
  const auto complain = [&](std::string message) {
    rendered.problems.push_back(Problem{"--set", number, 1, std::move(message)});
  };
  for (const auto& [key, text] : pairs) {
    ++number;
    const Setting* setting = FindSetting(key);
    if (!setting) {
      const std::string_view nearest = NearestSetting(key);
      complain("there is no setting " + Escaped(key, 80) +
               (nearest.empty() ? "" : "; did you mean " + std::string(nearest) + "?"));
    } else if (!IsValidUtf8(text)) {
      complain("the value of " + key + " is not UTF-8");
    } else {
      Value value = FromText(*setting, text);
      const auto [place, is_new] = values.try_emplace(setting->key, value);
      if (!is_new) Merge(place->second, std::move(value));
    }
  }
  for (const Section& section : Sections()) RenderSection(section, values, rendered.toml);
  return rendered;
}

}  // namespace postern::config
