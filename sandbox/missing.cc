#include "sandbox/missing.h"

#include <algorithm>

namespace postern::sandbox {

std::string_view NameOf(KernelLayer layer) {
  switch (layer) {
    case KernelLayer::kNamespaces:
      return "namespaces";
    case KernelLayer::kMdwe:
      return "mdwe";
    case KernelLayer::kLandlock:
      return "landlock";
    case KernelLayer::kLandlockNetwork:
      return "landlock-network";
    case KernelLayer::kLandlockScopes:
      return "landlock-scopes";
  }
  return "";
}

std::string_view RemedyFor(KernelLayer layer) {
  switch (layer) {
    case KernelLayer::kNamespaces:
      return "it needs Linux 5.12 and user namespaces: sysctl user.max_user_namespaces above 0, "
             "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; "
             "as root CAP_SETUID, CAP_SETGID and CAP_SETFCAP; "
             "in a container --security-opt seccomp=FILE with a profile that allows clone with "
             "CLONE_NEW*, mount, umount2, pivot_root, open_tree, move_mount and mount_setattr, and "
             "--security-opt apparmor=unconfined; under systemd RestrictNamespaces=user mnt ipc "
             "uts "
             "pid net";
    case KernelLayer::kMdwe:
      return "it needs Linux 6.3";
    case KernelLayer::kLandlock:
      return "it needs Linux 5.13 with landlock among lsm= of the kernel's command line; in a "
             "container --security-opt seccomp=FILE with a profile that allows landlock_*";
    case KernelLayer::kLandlockNetwork:
      return "it needs Linux 6.7";
    case KernelLayer::kLandlockScopes:
      return "it needs Linux 6.12";
  }
  return "";
}

void MissingLayers::Add(KernelLayer layer, const absl::Status& why) {
  all_.push_back({.layer = layer, .why = std::string(Message(why))});
}

bool MissingLayers::IsAllowed(KernelLayer layer) const {
  return std::ranges::find(allowed_, NameOf(layer)) != allowed_.end();
}

absl::Status MissingLayers::Check() const {
  std::string reasons;
  std::string names;
  std::string list;
  for (const std::string& name : allowed_) list += StrCat(list.empty() ? "" : ", ", '"', name, '"');
  for (const One& one : all_) {
    if (IsAllowed(one.layer)) continue;
    names += StrCat(names.empty() ? "" : ", ", NameOf(one.layer));
    list += StrCat(list.empty() ? "" : ", ", '"', NameOf(one.layer), '"');
    reasons += StrCat("; ", one.why, ": ", RemedyFor(one.layer));
  }
  if (names.empty()) return absl::OkStatus();
  // The setting first: the log cuts long values.
  return FailedPrecondition("layers of the confinement are missing: ", names,
                            "; to run without: master.allow_missing = [", list, "]", reasons);
}

std::string MissingLayers::Describe() const {
  std::string names;
  for (const One& one : all_) names += StrCat(names.empty() ? "missing:" : ",", NameOf(one.layer));
  return names;
}

}  // namespace postern::sandbox
