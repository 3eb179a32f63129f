// tools/probe/run.h — becomes a role, as the daemon does, and tries the acts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "sandbox/confine.h"
#include "tools/probe/acts.h"
#include "tools/probe/roles.h"
#include "tools/probe/stage.h"

namespace postern::probe {

enum class Outcome : uint8_t {
  kRefused,  // by an error
  kKilled,   // the process was ended for it
  kSucceeded,
  kAllowed,    // right for this role; not tried
  kNotToBeHad  // an older Landlock cannot refuse it, or there is no root's file; not tried
};

struct Result {
  Outcome outcome = Outcome::kSucceeded;
  int error = 0;   // kRefused: errno. kSucceeded: that of somebody who was let through, or 0
  int signal = 0;  // kKilled
};

struct How {
  sandbox::Identity identity;
  sandbox::LayerSet without;
  // kNoSuchCall: one process tries many acts, and only one that succeeded ends it. kKill: as in
  // production; then most acts cost a process.
  sandbox::Unlisted unlisted = sandbox::Unlisted::kNoSuchCall;
  int landlock_abi = 0;  // the kernel's
};

// A result for each act. Error: the role could not be entered, with the reason of the layer.
absl::StatusOr<std::vector<Result>> TryActs(const Role& role, const How& how, Stage& stage,
                                            const std::vector<Act>& acts);

// Why namespaces are not to be had here, for this identity; empty if they are.
std::string WhyNoNamespaces(const sandbox::Identity& identity);
// What the kernel has: 0 is "no Landlock"; the highest ring operation plus one, 0 is "no ring".
int LandlockAbi();
unsigned RingOperations();

}  // namespace postern::probe
