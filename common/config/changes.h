// common/config/changes.h — what a reload would change.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/config/settings.h"

namespace postern::config {

// The dotted keys whose values differ, in the order of the documentation.
std::vector<std::string> ChangedKeys(const Settings& before, const Settings& after);

// True for keys that the running processes took on at their start (io, root, uid_base,
// directories): a reload leaves the old value in force and must say so.
bool NeedsRestart(std::string_view key);

// Gives every such key of `settings` the value it has in `started`: what a process that runs since
// then goes by.
void KeepStarted(const Settings& started, Settings& settings);

}  // namespace postern::config
