// resolvd: see README.md.
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/service/service.h"
#include "daemons/resolvd/resolvd.h"
#include "daemons/resolvd/system_resolver.h"
#include "sandbox/profiles/profiles.h"
#ifdef POSTERN_WITH_UNBOUND
#include "daemons/resolvd/unbound_resolver.h"
#endif

namespace {

using namespace postern;

constexpr size_t kMaxResolvConfOctets = 64u << 10;
constexpr uint16_t kDnsPort = 53;

// Empty if there is none: the local host is asked then.
std::string ReadResolvConf() {
  const UniqueFd file(::open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC));
  std::string text(kMaxResolvConfOctets, '\0');
  const ssize_t got = file.valid() ? ::read(file.get(), text.data(), text.size()) : 0;
  text.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return text;
}

// Where questions go over TCP; none named: the port of all name servers.
std::vector<uint16_t> PortsOf(const std::vector<SocketAddress>& servers) {
  std::vector<uint16_t> ports;
  for (const SocketAddress& server : servers)
    ports.push_back(server.port != 0 ? server.port : kDnsPort);
  if (ports.empty()) ports.push_back(kDnsPort);
  return ports;
}

int RunSystem(service::Service& service) {
  const config::Dns& dns = service.settings().dns;
  resolvd::SystemOptions options{
      .servers = dns.servers, .trust_ad = dns.trust_ad, .cache_octets = dns.cache_octets};
  if (options.servers.empty()) options.servers = resolvd::ServersOfResolvConf(ReadResolvConf());
  service.Confine(sandbox::ResolvdProfile(service.backend(), PortsOf(options.servers)), {});
  resolvd::SystemResolver resolver(service.loop(), options);
  resolvd::Resolvd daemon(service, resolver);
  return service.Run(daemon);
}

#ifdef POSTERN_WITH_UNBOUND
int RunUnbound(service::Service& service) {
  const config::Dns& dns = service.settings().dns;
  auto resolver = [&] {
    const auto as_us = service.BorrowIdentity();  // the trust anchor is read as who we will be
    return resolvd::UnboundResolver::Create({.servers = dns.servers,
                                             .trust_anchor = dns.trust_anchor,
                                             .insecure_domains = dns.insecure_domains,
                                             .cache_octets = dns.cache_octets});
  }();
  if (!resolver.ok()) service.Fail(resolver.status(), "resolver");
  service.Confine(sandbox::ResolvdProfile(service.backend(), PortsOf(dns.servers)), {});
  (*resolver)->Attach(service.loop());
  resolvd::Resolvd daemon(service, **resolver);
  return service.Run(daemon);
}
#else
int RunUnbound(service::Service& service) {
  service.Fail(FailedPrecondition("dns.mode = \"unbound\": this build has the system mode alone"),
               "resolver");
}
#endif

}  // namespace

int main() {
  service::Service service = service::Service::Begin();
  return service.settings().dns.mode == config::ResolverMode::kSystem ? RunSystem(service)
                                                                      : RunUnbound(service);
}
