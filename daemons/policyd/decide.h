// daemons/policyd/decide.h — the decisions, without any I/O: who may send what to whom.
#pragma once

#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "common/base/hash.h"
#include "common/base/ip.h"
#include "common/config/accounts.h"
#include "common/config/settings.h"
#include "common/ipc/protocol/control.h"
#include "common/ipc/protocol/smtpd_policyd.h"

namespace postern::policyd {

// The tables of one configuration.
class Rules {
 public:
  Rules(const config::Settings& settings, const std::vector<protocol::control::Account>& accounts);

  // RCPT: the sender's syntax, the recipient's class and existence, and whether this client may
  // send there (S80: relaying is denied unless something allows it).
  protocol::policy::Verdict Decide(const protocol::policy::RecipientQuestion& question) const;

  int max_connections_per_client() const { return max_connections_per_client_; }

 private:
  bool MayRelay(const protocol::policy::RecipientQuestion& question) const;
  bool IsRelayDomain(std::string_view domain) const;
  protocol::policy::Verdict DecideLocal(std::string_view local_part) const;

  StringSet domains_;
  StringSet relay_domains_;
  StringSet relay_subdomains_;  // of these; entries written ".example.org"
  config::LocalAccounts accounts_;
  std::vector<IpNetwork> networks_;
  int max_connections_per_client_;
};

// Connections of each client at this moment: by address, IPv6 by /64.
class ConnectionCounter {
 public:
  // False if `client` has `limit` connections already; counts it otherwise.
  bool Add(const IpAddress& client, int limit);
  void Remove(const IpAddress& client);
  int count(const IpAddress& client) const;
  size_t clients() const { return counts_.size(); }

 private:
  static IpAddress KeyOf(const IpAddress& client);
  absl::flat_hash_map<IpAddress, int> counts_;
};

}  // namespace postern::policyd
