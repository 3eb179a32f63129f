#include "common/service/confining.h"

#include <utility>

namespace postern::service {

using sandbox::KernelLayer;
using sandbox::Layer;

namespace {

absl::Status Harden(bool left_out, sandbox::MissingLayers& missing) {
  if (left_out) return sandbox::ForbidNewPrivileges();
  RETURN_IF_ERROR(sandbox::HardenProcess());
  if (const absl::Status refused = sandbox::RefuseExecGain(); !refused.ok())
    missing.Add(KernelLayer::kMdwe, refused);
  return absl::OkStatus();
}

// The version of Landlock that is in force; 0: none.
absl::StatusOr<int> EnterLandlock(const sandbox::Profile& profile,
                                  sandbox::MissingLayers& missing) {
  int abi = 0;
  if (const absl::Status entered = sandbox::EnterLandlock(profile, abi); !entered.ok()) {
    if (abi > 0) return entered;  // what the kernel has must also work
    missing.Add(KernelLayer::kLandlock, entered);
    return 0;
  }
  const std::string has = StrCat("this kernel's Landlock has version ", abi);
  if (abi < sandbox::kLandlockNetworkAbi)
    missing.Add(KernelLayer::kLandlockNetwork, FailedPrecondition(has));
  if (abi < sandbox::kLandlockScopesAbi)
    missing.Add(KernelLayer::kLandlockScopes, FailedPrecondition(has));
  return abi;
}

}  // namespace

absl::StatusOr<Confined> EnterLayers(const sandbox::Profile& profile,
                                     const sandbox::Identity& identity, io::LoopOptions options,
                                     sandbox::MissingLayers& missing, const ProbeWishes& wishes) {
  const sandbox::LayerSet& without = wishes.without;
  Confined confined;
  int landlock_abi = 0;
  RETURN_IF_ERROR(Harden(without.Has(Layer::kHardening), missing));
  if (!without.Has(Layer::kLandlock)) {
    ASSIGN_OR_RETURN(landlock_abi, EnterLandlock(profile, missing));
  }
  RETURN_IF_ERROR(missing.Check());
  options.send_by_writing = profile.sends_by_writing;
  options.ring_left_open = without.Has(Layer::kRing);
  options.restrict_ring = [&](int ring_fd) {
    return options.ring_left_open ? absl::OkStatus() : sandbox::RestrictRing(ring_fd, profile);
  };
  ASSIGN_OR_RETURN(confined.loop, io::Loop::Create(options));
  const int ring = confined.loop->registered_ring_index();
  if (profile.backend == sandbox::Backend::kUring && !options.ring_left_open)
    RETURN_IF_ERROR(sandbox::VerifyRingRestricted(ring));
  confined.layers = sandbox::DescribeLayers(profile, identity, landlock_abi);
  if (!without.Has(Layer::kRlimits)) RETURN_IF_ERROR(sandbox::LimitResources(profile));
  if (!without.Has(Layer::kSeccomp))
    RETURN_IF_ERROR(sandbox::LoadFilter(profile, ring, wishes.unlisted));
  return confined;
}

}  // namespace postern::service
