// smtpc: see README.md.
#include "common/service/service.h"
#include "daemons/smtpc/reach.h"
#include "daemons/smtpc/smtpc.h"
#include "sandbox/profiles/profiles.h"

int main() {
  using namespace postern;
  service::Service service = service::Service::Begin();
  io::LoopOptions options;
  options.buffer_octets = 4096;  // replies are short
  options.buffer_count = 1024;
  const smtpc::Reach reach = smtpc::ReachOf(service.settings().outbound);
  service.Confine(sandbox::SmtpcProfile(service.backend(), reach.ports, reach.unix_sockets,
                                        smtpc::DirectoriesOf(reach.socket_paths)),
                  options);
  smtpc::Smtpc daemon(service);
  return service.Run(daemon);
}
