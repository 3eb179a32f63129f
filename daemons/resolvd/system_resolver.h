// daemons/resolvd/system_resolver.h — mode system: a stub resolver, which asks recursive name
// servers and leaves validation to them.
//
// Servers are asked in turn, beginning with the one that answered last; one that is silent or says
// SERVFAIL is followed by the next, up to kMaxRounds times round. Their AD bit counts only if they
// may be believed: then answers are kSecure or kInsecure, else kUnknown.
#pragma once

#include <string_view>
#include <vector>

#include "common/base/ip.h"
#include "daemons/resolvd/answer_cache.h"
#include "daemons/resolvd/exchange.h"
#include "daemons/resolvd/resolver.h"

namespace postern::resolvd {

struct SystemOptions {
  std::vector<SocketAddress> servers;  // port 0: 53
  bool trust_ad = false;               // believed anyway if all servers are on loopback
  bool randomise_case = true;
  uint64_t cache_octets = 16u << 20;
  absl::Duration first_try = absl::ZeroDuration();  // zero: kFirstTryTimeout
};

class SystemResolver final : public Resolver {
 public:
  // `loop` must outlive the resolver.
  SystemResolver(io::Loop& loop, SystemOptions options);

  io::Task<dns::Answer> Lookup(const dns::Name& name, dns::Type type, io::Deadline until) override;

  bool believes_servers() const { return believes_servers_; }
  const AnswerCache& cache() const { return cache_; }

 private:
  io::Task<dns::Answer> FollowChain(const dns::Name& name, dns::Type type, io::Deadline until);
  io::Task<absl::StatusOr<dns::Message>> AskServers(const dns::Name& name, dns::Type type,
                                                    io::Deadline until);
  io::Task<absl::StatusOr<dns::Message>> AskOne(const SocketAddress& server, const dns::Name& name,
                                                dns::Type type, io::Deadline until);

  io::Loop& loop_;
  SystemOptions options_;
  bool believes_servers_;
  size_t preferred_ = 0;  // the server that answered last
  AnswerCache cache_;
};

// The name servers of a resolv.conf(5), at most kMaxServers, port 53; lines that cannot be read are
// passed over, as every resolver does. Without any: the local host.
std::vector<SocketAddress> ServersOfResolvConf(std::string_view text);

}  // namespace postern::resolvd
