// tools/probe/report.h — results as text, as JSON, and as the table of what each layer stops. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sandbox/layer.h"
#include "tools/probe/acts.h"
#include "tools/probe/run.h"

namespace postern::probe {

struct Counts {
  size_t tried = 0;
  size_t succeeded = 0;
  size_t allowed = 0;
  size_t not_to_be_had = 0;
};
Counts Count(const std::vector<Result>& results);

// One role on one backend.
struct Outcomes {
  std::string role;
  std::string backend;
  std::vector<Act> acts;
  std::vector<Result> results;  // one an act
};

enum class Show : uint8_t { kSucceeded, kAll };

// A line for the role, then a line an act: what, how it ended, errno or signal.
std::string ToText(const Outcomes& outcomes, Show show);
// {"runs": [{"role", "backend", "tried", "succeeded", "allowed", "acts": [...]}], "without": [...]}
std::string ToJson(const std::vector<Outcomes>& runs, const sandbox::LayerSet& without);

// "refused, EACCES"; "killed, SIGSYS"; "allowed: asks name servers".
std::string Describe(const Act& act, const Result& result);

// One line a layer, one column a role: acts that succeed without the layer / with it alone.
struct AblationCell {
  size_t without = 0;
  size_t alone = 0;
  bool possible = true;  // false: the backend has no such layer
};
struct AblationRow {
  std::string layer;
  std::vector<AblationCell> cells;  // one a role
};
std::string ToTable(const std::vector<std::string>& roles, const std::vector<AblationRow>& rows);

}  // namespace postern::probe
