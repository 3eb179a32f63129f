// common/service/confining.h — the layers of a profile, entered in their order, with the loop made
// where its ring belongs among them. Daemons and confine-probe become a role by this one function.
#pragma once

#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/io/loop.h"
#include "sandbox/confine.h"
#include "sandbox/missing.h"

namespace postern::service {

struct Confined {
  std::unique_ptr<io::Loop> loop;
  std::string layers;  // sandbox::DescribeLayers
};

// What confine-probe asks for; a daemon never gives one.
struct ProbeWishes {
  sandbox::LayerSet without;  // namespaces and ids are the caller's to leave out
  sandbox::Unlisted unlisted = sandbox::Unlisted::kKill;
};

// All but the namespaces and the ids, which come before (some daemons open files between them).
// `options.backend` must be the profile's. `missing` knows which layers the kernel may lack, and
// learns which it does; one that may not is an error that names it. After an error the process must
// end: it is confined in part.
absl::StatusOr<Confined> EnterLayers(const sandbox::Profile& profile,
                                     const sandbox::Identity& identity, io::LoopOptions options,
                                     sandbox::MissingLayers& missing,
                                     const ProbeWishes& wishes = {});

}  // namespace postern::service
