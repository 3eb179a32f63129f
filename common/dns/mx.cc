#include "common/dns/mx.h"

#include <algorithm>
#include <utility>

#include "common/dns/limits.h"

namespace postern::dns {
namespace {

// Lower case, without the dot at the end; "" for the root.
std::string Canonical(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string canonical(host);
  for (char& c : canonical) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return canonical;
}

// SplitMix64: enough to spread load, and the same order for the same bits.
uint64_t NextRandom(uint64_t& state) {
  state += 0x9E3779B97F4A7C15u;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// Fisher and Yates over all, then by preference: sorting looks at preferences alone, so equals stay
// in random order.
void Order(std::vector<MailExchanger>& hosts, uint64_t random) {
  for (size_t i = hosts.size(); i > 1; --i) std::swap(hosts[i - 1], hosts[NextRandom(random) % i]);
  std::sort(hosts.begin(), hosts.end(), [](const MailExchanger& a, const MailExchanger& b) {
    return a.preference < b.preference;
  });
}

// Of several records for one host the first one counts; null MX beside others means nothing (RFC
// 7505 §3 forbids it).
std::vector<MailExchanger> WithoutRepeats(const std::vector<MailExchanger>& sorted) {
  std::vector<MailExchanger> hosts;
  for (const MailExchanger& one : sorted) {
    const auto same = [&one](const MailExchanger& other) { return other.host == one.host; };
    if (!one.host.empty() && std::none_of(hosts.begin(), hosts.end(), same)) hosts.push_back(one);
  }
  return hosts;
}

void DropOwnAndLater(std::vector<MailExchanger>& sorted, std::span<const std::string> own_names) {
  const auto own =
      std::find_if(sorted.begin(), sorted.end(), [own_names](const MailExchanger& one) {
        return std::any_of(own_names.begin(), own_names.end(),
                           [&one](const std::string& name) { return Canonical(name) == one.host; });
      });
  if (own == sorted.end()) return;
  const uint16_t preference = own->preference;
  std::erase_if(sorted,
                [preference](const MailExchanger& one) { return one.preference >= preference; });
}

}  // namespace

MxPlan PlanRoute(Status lookup, std::string_view domain, std::span<const MailExchanger> records,
                 std::span<const std::string> own_names, uint64_t random) {
  MxPlan plan;
  if (lookup == Status::kTemporaryFailure) return plan;
  if (lookup == Status::kNxDomain) {
    plan.route = Route::kNoDomain;
    return plan;
  }
  std::vector<MailExchanger> hosts;
  if (lookup == Status::kNoData || records.empty()) {
    plan.implicit = true;
    hosts.push_back({0, Canonical(domain)});
  } else {
    for (const MailExchanger& record : records)
      hosts.push_back({record.preference, Canonical(record.host)});
    Order(hosts, random);
    hosts = WithoutRepeats(hosts);
    if (hosts.empty()) {
      plan.route = Route::kNullMx;
      return plan;
    }
  }
  DropOwnAndLater(hosts, own_names);
  if (hosts.size() > kMaxMailExchangers) hosts.resize(kMaxMailExchangers);
  plan.route = hosts.empty() ? Route::kSelfLoop : Route::kHosts;
  plan.hosts = std::move(hosts);
  return plan;
}

}  // namespace postern::dns
