// common/dns/mx.h — from a domain's MX records to the hosts to try, in order (RFC 5321 §5.1, RFC
// 7505). A pure decision: what was looked up and the random bits come from the caller.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/dns/answer.h"

namespace postern::dns {

// One MX record, its host in text form; a dot at its end does not count, "." is the null MX.
struct MailExchanger {
  uint16_t preference = 0;
  std::string host;

  friend bool operator==(const MailExchanger&, const MailExchanger&) = default;
};

enum class Route : uint8_t {
  kHosts,      // try these
  kNullMx,     // the domain takes no mail: permanent, 556 5.1.10 (RFC 7505 §4)
  kNoDomain,   // the domain does not exist: permanent, 5.1.2
  kSelfLoop,   // only we ourselves are left, or nobody before us: permanent, 5.4.6
  kTemporary,  // not known now: the message stays queued, 4.4.3
};

struct MxPlan {
  Route route = Route::kTemporary;
  bool implicit = false;             // no MX: the domain itself, at preference 0
  std::vector<MailExchanger> hosts;  // with kHosts: in the order of trying, lower case

  friend bool operator==(const MxPlan&, const MxPlan&) = default;
};

// `lookup` is how the question for the domain's MX ended and `records` what it gave. `domain` is
// where its CNAME chain led (an alias is followed for the domain alone; RFC 5321 §5.1).
//
// Hosts are sorted by preference, those of equal preference shuffled by `random`; a host named more
// than once is kept where it is most preferred. If one of `own_names` is among them (we are a
// backup of the domain), it and all hosts of its preference or a higher number are dropped: mail
// never goes to a host that would give it back. At most kMaxMailExchangers are kept.
MxPlan PlanRoute(Status lookup, std::string_view domain, std::span<const MailExchanger> records,
                 std::span<const std::string> own_names, uint64_t random);

}  // namespace postern::dns
