// sandbox/missing.h — layers that this kernel, or what contains us, does not give.
//
// A missing layer is an error that names it, unless master.allow_missing lists it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace postern::sandbox {

enum class KernelLayer { kNamespaces, kMdwe, kLandlock, kLandlockNetwork, kLandlockScopes };

// As master.allow_missing has it: "namespaces", "mdwe", "landlock", ...
std::string_view NameOf(KernelLayer layer);
// What would give it: a version of Linux, a setting of the kernel or of a container.
std::string_view RemedyFor(KernelLayer layer);

// The same for io_uring, which is no layer but what serves, where it can be had.
inline constexpr std::string_view kRemedyForRing =
    "it needs sysctl kernel.io_uring_disabled=0; in a container --security-opt seccomp=FILE with a "
    "profile that allows io_uring_*";

class MissingLayers {
 public:
  struct One {
    KernelLayer layer;
    std::string why;
  };

  // `allowed`: names, as configured.
  explicit MissingLayers(std::vector<std::string> allowed) : allowed_(std::move(allowed)) {}

  void Add(KernelLayer layer, const absl::Status& why);
  const std::vector<One>& all() const { return all_; }
  // OK if all that is missing may be. Otherwise kFailedPrecondition, with each layer that may not,
  // why it is missing, what would give it, and the setting to go without.
  absl::Status Check() const;
  // "missing:mdwe,landlock-scopes", or nothing: for `postern ps`.
  std::string Describe() const;

 private:
  bool IsAllowed(KernelLayer layer) const;

  std::vector<std::string> allowed_;
  std::vector<One> all_;
};

}  // namespace postern::sandbox
