// bounced: see README.md.
#include "common/service/service.h"
#include "daemons/bounced/bounced.h"
#include "sandbox/profiles/profiles.h"

int main() {
  using namespace postern;
  service::Service service = service::Service::Begin();
  service.Confine(sandbox::BouncedProfile(service.backend()), {});
  bounced::Bounced daemon(service);
  return service.Run(daemon);
}
