// bounced puts together notices from texts of remote servers. It has its edges and its memory.
#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile BouncedProfile(Backend backend) {
  return ProfileBuilder("bounced", backend)
      .AllowNoThreadsOfTheKernel()
      .Limit(RLIMIT_NOFILE, kEdgeDescriptors)
      .KillTheRest();
}

}  // namespace postern::sandbox
