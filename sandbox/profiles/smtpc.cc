// smtpc talks to servers all over the world and parses what they answer. It may connect (TCP, no
// bind), and read the contents it was handed; it opens no file.
#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile SmtpcProfile(Backend backend, bool unix_sockets) {
  return ProfileBuilder("smtpc", backend)
      .AllowClientSockets(unix_sockets)
      .AllowFileReading("contents handed over by qmgr")
      // Routes name ports, and a reload may name others: which is the configuration's word, not a
      // constant of the kernel's rule set.
      .AllowAnyConnectPort()
      .KillTheRest();
}

}  // namespace postern::sandbox
