// smtpd parses what strangers send. It opens nothing and connects to nothing: clients come by
// accept, everything else goes over the edges master gave it.
#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile SmtpdProfile(Backend backend) {
  return ProfileBuilder("smtpd", backend)
      .AllowServingSockets()
      .Limit(RLIMIT_FSIZE, 1u << 30)  // its log line goes to a file
      .KillTheRest();
}

}  // namespace postern::sandbox
