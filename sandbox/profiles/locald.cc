// locald decides which user a recipient is. It asks master for a process that runs as that user,
// and hands it the message.
#include <fcntl.h>

#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile LocaldProfile(Backend backend) {
  return ProfileBuilder("locald", backend)
      .AllowSendingDescriptors()  // the content of large messages, on to `deliver`
      .Allow("fcntl", {Argument::Equals(1, F_DUPFD_CLOEXEC)},
             "one descriptor for several recipients")
      .AllowNoThreadsOfTheKernel()
      .KillTheRest();
}

}  // namespace postern::sandbox
