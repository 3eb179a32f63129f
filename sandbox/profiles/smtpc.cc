// smtpc talks to servers all over the world and parses what they answer. It may connect (TCP, no
// bind) to the ports that mail goes to, and read the contents it was handed; it opens no file.
#include "sandbox/profiles/profiles.h"

namespace postern::sandbox {

Profile SmtpcProfile(Backend backend, const std::vector<uint16_t>& ports, bool unix_sockets,
                     const std::vector<std::string>& socket_directories) {
  return ProfileBuilder("smtpc", backend)
      .AllowClientSockets(unix_sockets)
      .AllowFileReading("contents handed over by qmgr")
      .AllowConnectPorts(ports)
      .KeepNetwork("other servers")
      .ShowDirectories(socket_directories, "LMTP servers behind a Unix socket")
      .KillTheRest();
}

}  // namespace postern::sandbox
