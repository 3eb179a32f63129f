// locald: see README.md.
#include "common/service/service.h"
#include "daemons/locald/locald.h"
#include "sandbox/profiles/profiles.h"

int main() {
  using namespace postern;
  service::Service service = service::Service::Begin();
  service.Confine(sandbox::LocaldProfile(service.backend()), {});
  locald::Locald daemon(service);
  return service.Run(daemon);
}
