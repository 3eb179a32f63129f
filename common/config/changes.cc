#include "common/config/changes.h"

#include "common/config/convert.h"
#include "common/config/setting.h"

namespace postern::config {

std::vector<std::string> ChangedKeys(const Settings& before, const Settings& after) {
  std::vector<std::string> keys;
  for (const Setting* setting : AllSettings())
    if (!IsSame(*setting, before, after)) keys.emplace_back(setting->key);
  return keys;
}

bool NeedsRestart(std::string_view key) {
  const Setting* setting = FindSetting(key);
  return setting && setting->reload == Reload::kRestart;
}

void KeepStarted(const Settings& started, Settings& settings) {
  Report none;  // a value that was taken once is right
  for (const Setting* setting : AllSettings())
    if (setting->reload == Reload::kRestart)
      Store(*setting, Load(*setting, started), settings, none);
}

}  // namespace postern::config
