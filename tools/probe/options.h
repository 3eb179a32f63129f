// tools/probe/options.h — what may be typed.
#pragma once

#include <string>
#include <vector>

#include "common/base/status.h"
#include "sandbox/layer.h"
#include "sandbox/profile.h"

namespace postern::probe {

struct Options {
  std::vector<std::string> roles;          // never empty: all, if none was named
  std::vector<sandbox::Backend> backends;  // both, if none was named
  bool backend_named = false;
  sandbox::LayerSet without;
  bool ablation = false;
  bool as_json = false;
  bool list_acts = false;  // each act, not only those that succeeded; also when one role is named
  bool kill = false;       // the filter as in production
  bool help = false;
};

// kInvalidArgument says what is wrong.
absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& words);

// What --help prints.
std::string Usage();

std::string_view BackendName(sandbox::Backend backend);

}  // namespace postern::probe
