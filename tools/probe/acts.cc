#include "tools/probe/acts.h"

#include <algorithm>

namespace postern::probe {

bool Allowance::Covers(std::string_view role) const {
  return std::ranges::find(roles, role) != roles.end();
}

bool IsRefused(const Act& act, long result) {
  if (result == -ENOSYS || result == -EPERM || result == -EACCES) return true;
  return result < 0 && std::ranges::find(act.refusals, -result) != act.refusals.end();
}

std::vector<Act> ActsFor(const sandbox::Profile& profile, unsigned ring_operations) {
  std::vector<Act> acts;
  AddFileActs(acts);
  AddFileSystemActs(acts);
  AddProcessActs(acts);
  AddNetworkActs(acts);
  AddMemoryActs(acts);
  AddIdentityActs(acts);
  AddKernelActs(acts);
  AddDescriptorActs(acts);
  AddSiblingActs(acts);
  if (profile.backend == sandbox::Backend::kUring) {
    AddRingActs(acts, profile, ring_operations);
  } else {
    std::erase_if(acts, [](const Act& act) { return act.needs_ring; });
  }
  return acts;
}

}  // namespace postern::probe
