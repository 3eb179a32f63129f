// smtpd parses what strangers send. It opens nothing and connects to nothing: clients come by
// accept, everything else goes over the edges master gave it. No limit on file size: the log may be
// a file that all daemons append to, and outgrowing the limit would end the process (SIGXFSZ).
#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile SmtpdProfile(Backend backend) {
  return ProfileBuilder("smtpd", backend)
      .AllowServingSockets()
      .AllowNoThreadsOfTheKernel()
      .KillTheRest();
}

}  // namespace postern::sandbox
