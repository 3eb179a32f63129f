// smtpc: see README.md.
#include "common/service/service.h"
#include "daemons/smtpc/smtpc.h"
#include "sandbox/profiles/profiles.h"

namespace {

// Whether any route leads to a Unix socket: only then may such sockets be made.
bool HasUnixRoutes(const postern::config::Settings& settings) {
  bool any =
      settings.outbound.smarthost.has_value() && !settings.outbound.smarthost->socket_path.empty();
  for (const auto& [domain, hop] : settings.outbound.routes) any = any || !hop.socket_path.empty();
  return any;
}

}  // namespace

int main() {
  using namespace postern;
  service::Service service = service::Service::Begin();
  io::LoopOptions options;
  options.buffer_octets = 4096;  // replies are short
  options.buffer_count = 1024;
  service.Confine(sandbox::SmtpcProfile(service.backend(), HasUnixRoutes(service.settings())),
                  options);
  smtpc::Smtpc daemon(service);
  return service.Run(daemon);
}
