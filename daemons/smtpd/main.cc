// smtpd: see README.md.
#include "common/service/service.h"
#include "daemons/smtpd/smtpd.h"
#include "sandbox/profiles/profiles.h"

int main() {
  using namespace postern;
  service::Service service = service::Service::Begin();
  io::LoopOptions options;
  options.buffer_count = 256;  // of 16 KiB, shared by all connections; an idle one has none
  service.Confine(sandbox::SmtpdProfile(service.backend()), options);
  smtpd::Smtpd daemon(service);
  return service.Run(daemon);
}
