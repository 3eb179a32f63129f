// policyd decides about addresses that strangers name. It has its edges and its memory.
#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile PolicydProfile(Backend backend) {
  return ProfileBuilder("policyd", backend)
      .AllowNoThreadsOfTheKernel()
      .Limit(RLIMIT_NOFILE, kEdgeDescriptors)
      .KillTheRest();
}

}  // namespace postern::sandbox
