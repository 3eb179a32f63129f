#include "daemons/smtpc/resolver.h"

#include <random>
#include <utility>

#include "common/dns/mx.h"

namespace postern::smtpc {

namespace query = protocol::dns;

namespace {

Targets Nowhere(bool permanent, std::string status, std::string reason) {
  return {.targets = {},
          .permanent = permanent,
          .status = std::move(status),
          .reason = std::move(reason)};
}

dns::Status StatusOf(query::Status status) {
  switch (status) {
    case query::Status::kFound:
      return dns::Status::kFound;
    case query::Status::kNoData:
      return dns::Status::kNoData;
    case query::Status::kNoDomain:
      return dns::Status::kNxDomain;
    case query::Status::kTemporaryFailure:
      break;
  }
  return dns::Status::kTemporaryFailure;
}

// Addresses that mail from the outside must never lead us to: this host, or nowhere.
bool IsForbidden(const IpAddress& ip) {
  return ip.is_loopback() || ip == IpAddress::V4(0) || ip == IpAddress::V6({});
}

}  // namespace

std::string Target::ToString() const {
  if (!socket_path.empty()) return socket_path;
  const std::string ip = address.ip.ToString();
  return host.empty() || host == ip ? "[" + ip + "]" : host + " [" + ip + "]";
}

io::Task<query::Answer> Resolver::Ask(const std::string& name, query::RecordType type,
                                      const config::Settings& settings) {
  query::Answer failure;
  ipc::Channel* channel = resolvd_();
  if (channel == nullptr) {
    failure.reason = "no resolver process";
    co_return failure;
  }
  const query::Question question{.name = name, .type = type};
  absl::StatusOr<query::Answer> answer = co_await channel->Call<query::Answer>(
      question, loop_.After(settings.dns.timeout + absl::Seconds(2)));
  if (answer.ok()) co_return *std::move(answer);
  failure.reason = std::string(Message(answer.status()));
  co_return failure;
}

// The addresses of one host, IPv6 and IPv4 taking turns. False if a look-up failed for the moment.
io::Task<bool> Resolver::AddHost(const std::string& host, uint16_t port, bool explicit_hop,
                                 const config::Settings& settings, Targets& to) {
  std::vector<IpAddress> v6;
  std::vector<IpAddress> v4;
  bool ok = true;
  if (const Parsed<IpAddress> literal = IpAddress::Parse(host); literal.has_value()) {
    (literal->is_v6() ? v6 : v4).push_back(*literal);
  } else {
    for (const auto& [type, wanted, addresses] :
         {std::tuple(query::RecordType::kAaaa, settings.outbound.ipv6, &v6),
          std::tuple(query::RecordType::kA, settings.outbound.ipv4, &v4)}) {
      if (!wanted) continue;
      const query::Answer answer = co_await Ask(host, type, settings);
      if (answer.status == query::Status::kTemporaryFailure) {
        ok = false;
        to.reason = "look-up of " + host + ": " + answer.reason;
      }
      for (const query::Record& record : answer.records) {
        const IpAddress ip = protocol::Ip{.octets = record.data}.ToAddress();
        if (ip.family() != IpAddress::Family::kNone) addresses->push_back(ip);
      }
    }
  }
  for (size_t i = 0; i < std::max(v4.size(), v6.size()); ++i) {
    for (const std::vector<IpAddress>* addresses : {&v6, &v4}) {
      if (i >= addresses->size() || to.targets.size() >= kMaxTargets) continue;
      const IpAddress& ip = (*addresses)[i];
      if (!explicit_hop && !settings.outbound.loopback_allowed && IsForbidden(ip)) {
        to.reason = host + " is said to be " + ip.ToString() + ", which is this host";
        continue;
      }
      to.targets.push_back({.host = host, .address = {.ip = ip, .port = port}, .socket_path = {}});
    }
  }
  co_return ok;
}

io::Task<Targets> Resolver::ResolveDomain(const std::string& domain,
                                          const config::Settings& settings) {
  const query::Answer answer = co_await Ask(domain, query::RecordType::kMx, settings);
  std::vector<dns::MailExchanger> records;
  for (const query::Record& record : answer.records)
    records.push_back({.preference = record.preference, .host = record.data});
  const std::string own[] = {settings.hostname};
  std::random_device random;
  const uint64_t bits = uint64_t{random()} << 32 | random();
  const std::string& canonical = answer.canonical_name.empty() ? domain : answer.canonical_name;
  const dns::MxPlan plan = dns::PlanRoute(StatusOf(answer.status), canonical, records, own, bits);
  switch (plan.route) {
    case dns::Route::kNullMx:
      co_return Nowhere(true, "5.1.10", "domain " + domain + " takes no mail (null MX)");
    case dns::Route::kNoDomain:
      co_return Nowhere(true, "5.1.2", "domain " + domain + " does not exist");
    case dns::Route::kSelfLoop:
      co_return Nowhere(true, "5.4.6", "mail for " + domain + " loops back to this host");
    case dns::Route::kTemporary:
      co_return Nowhere(false, "4.4.3", "MX look-up of " + domain + ": " + answer.reason);
    case dns::Route::kHosts:
      break;
  }
  Targets to;
  bool complete = true;
  for (const dns::MailExchanger& exchanger : plan.hosts) {
    if (to.targets.size() >= kMaxTargets) break;
    complete =
        co_await AddHost(exchanger.host, settings.outbound.port, false, settings, to) && complete;
  }
  if (!to.targets.empty()) co_return to;
  if (!complete) co_return Nowhere(false, "4.4.3", to.reason);
  // The hosts are named, and none has an address we may use.
  const std::string reason =
      to.reason.empty() ? "no host of domain " + domain + " has an address" : to.reason;
  co_return Nowhere(plan.implicit, plan.implicit ? "5.1.2" : "4.4.4", reason);
}

io::Task<Targets> Resolver::Resolve(const protocol::delivery::Job& job,
                                    const config::Settings& settings) {
  Targets to;
  if (!job.socket_path.empty()) {
    to.targets.push_back({.host = job.socket_path, .address = {}, .socket_path = job.socket_path});
    co_return to;
  }
  std::string host = job.host;
  uint16_t port = job.port != 0 ? job.port : settings.outbound.port;
  if (host.empty() && job.domain.starts_with('[') && job.domain.ends_with(']')) {
    host = job.domain.substr(1, job.domain.size() - 2);
    if (host.starts_with("ipv6:")) host.erase(0, 5);
    port = settings.outbound.port;
  }
  if (host.empty()) co_return co_await ResolveDomain(job.domain, settings);
  const bool complete = co_await AddHost(host, port, !job.host.empty(), settings, to);
  if (!to.targets.empty()) co_return to;
  co_return Nowhere(false, "4.4.3", complete ? "next hop " + host + " has no address" : to.reason);
}

}  // namespace postern::smtpc
