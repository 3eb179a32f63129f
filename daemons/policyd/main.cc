// policyd: see README.md.
#include "common/service/service.h"
#include "daemons/policyd/policyd.h"
#include "sandbox/profiles/profiles.h"

int main() {
  using namespace postern;
  service::Service service = service::Service::Begin();
  service.Confine(sandbox::PolicydProfile(service.backend()), {});
  policyd::Policyd daemon(service);
  return service.Run(daemon);
}
