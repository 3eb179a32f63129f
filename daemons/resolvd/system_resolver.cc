#include "daemons/resolvd/system_resolver.h"

#include <algorithm>
#include <utility>

#include "common/base/escape.h"
#include "common/dns/limits.h"
#include "daemons/resolvd/limits.h"
#include "daemons/resolvd/lookups.h"

namespace postern::resolvd {
namespace {

constexpr uint16_t kDnsPort = 53;

bool AllOnLoopback(const std::vector<SocketAddress>& servers) {
  return std::all_of(servers.begin(), servers.end(),
                     [](const SocketAddress& server) { return server.ip.is_loopback(); });
}

// Whether the server has told us something about the name.
bool IsVerdict(dns::Rcode rcode) {
  return rcode == dns::Rcode::kNoError || rcode == dns::Rcode::kNameError;
}

// A server from before EDNS (RFC 6891 §7).
bool DislikesEdns(dns::Rcode rcode) {
  return rcode == dns::Rcode::kFormatError || rcode == dns::Rcode::kNotImplemented ||
         rcode == dns::Rcode::kBadVersion;
}

}  // namespace

SystemResolver::SystemResolver(io::Loop& loop, SystemOptions options)
    : loop_(loop),
      options_(std::move(options)),
      believes_servers_(options_.trust_ad || AllOnLoopback(options_.servers)),
      cache_(options_.cache_octets) {
  for (SocketAddress& server : options_.servers) {
    if (server.port == 0) server.port = kDnsPort;
  }
  if (options_.first_try <= absl::ZeroDuration()) options_.first_try = kFirstTryTimeout;
}

io::Task<dns::Answer> SystemResolver::Lookup(const dns::Name& name, dns::Type type,
                                             io::Deadline until) {
  const std::string key = QuestionKey(name, type);
  if (std::optional<dns::Answer> known = cache_.Find(key, loop_.Now()); known.has_value())
    co_return *std::move(known);
  dns::Answer answer = co_await FollowChain(name, type, until);
  cache_.Insert(key, answer, loop_.Now());
  co_return answer;
}

// A server that recurses gives the whole chain of CNAMEs; one that does not, as far as it knows.
io::Task<dns::Answer> SystemResolver::FollowChain(const dns::Name& name, dns::Type type,
                                                  io::Deadline until) {
  dns::Name at = name;
  dns::Security security = dns::Security::kSecure;
  uint32_t ttl_seconds = dns::kMaxTtlSeconds;
  for (int cnames = 0;;) {
    const absl::StatusOr<dns::Message> message = co_await AskServers(at, type, until);
    if (!message.ok()) co_return dns::Failure(name, std::string(Message(message.status())));
    // The chain is as secure as its weakest part.
    if (!believes_servers_) {
      security = dns::Security::kUnknown;
    } else if (!message->header.authentic_data) {
      security = dns::Security::kInsecure;
    }
    dns::Answer answer = dns::AnswerFrom(*message, at, type, security, cnames);
    ttl_seconds = std::min(ttl_seconds, answer.ttl_seconds);
    answer.ttl_seconds = ttl_seconds;
    if (!answer.incomplete) co_return answer;
    cnames += dns::CountCnames(*message, at, type);
    if (cnames >= dns::kMaxCnames)
      co_return dns::Failure(name, "the chain of CNAMEs is a loop or too long");
    // "No such record" of a chain that goes on elsewhere has no time of its own.
    ttl_seconds = dns::kMaxTtlSeconds;
    for (const dns::Record& record : message->answers)
      ttl_seconds = std::min(ttl_seconds, record.ttl_seconds);
    at = answer.canonical_name;
  }
}

io::Task<absl::StatusOr<dns::Message>> SystemResolver::AskServers(const dns::Name& name,
                                                                  dns::Type type,
                                                                  io::Deadline until) {
  absl::Status last = Unavailable("no name servers are configured");
  absl::Duration patience = options_.first_try;
  const size_t count = options_.servers.size();
  for (int round = 0; round < kMaxRounds; ++round, patience *= 2) {
    bool silent = false;
    const size_t first = preferred_;
    for (size_t i = 0; i < count; ++i) {
      const size_t index = (first + i) % count;
      const io::Deadline try_until = std::min(until, loop_.After(patience));
      absl::StatusOr<dns::Message> message =
          co_await AskOne(options_.servers[index], name, type, try_until);
      if (message.ok() && IsVerdict(message->header.rcode)) {
        preferred_ = index;
        co_return message;
      }
      silent = silent || absl::IsDeadlineExceeded(message.status());
      last = message.ok() ? Unavailable(options_.servers[index].ToString(), " says ",
                                        dns::RcodeName(message->header.rcode))
                          : message.status();
      if (absl::IsCancelled(last)) co_return last;
      if (until <= loop_.Now())
        co_return DeadlineExceeded("no answer in time; last: ", Message(last));
    }
    // Who has answered, be it with SERVFAIL, would say the same again (RFC 9520 §3.1).
    if (!silent) break;
  }
  co_return last;
}

io::Task<absl::StatusOr<dns::Message>> SystemResolver::AskOne(const SocketAddress& server,
                                                              const dns::Name& name, dns::Type type,
                                                              io::Deadline until) {
  ExchangeOptions options{.want_ad = believes_servers_, .randomise_case = options_.randomise_case};
  absl::StatusOr<dns::Message> message =
      co_await Exchange(loop_, server, name, type, options, until);
  if (!message.ok() || !DislikesEdns(message->header.rcode)) co_return message;
  options.edns = false;
  co_return co_await Exchange(loop_, server, name, type, options, until);
}

std::vector<SocketAddress> ServersOfResolvConf(std::string_view text) {
  constexpr std::string_view kKeyword = "nameserver";
  constexpr std::string_view kBlank = " \t\r";
  std::vector<SocketAddress> servers;
  while (!text.empty() && servers.size() < kMaxServers) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.starts_with(kKeyword)) continue;
    line.remove_prefix(kKeyword.size());
    const size_t start = line.find_first_not_of(kBlank);
    if (start == 0 || start == std::string_view::npos) continue;
    line.remove_prefix(start);
    const Parsed<IpAddress> ip = IpAddress::Parse(line.substr(0, line.find_first_of(kBlank)));
    if (ip.has_value()) servers.push_back({.ip = *ip, .port = kDnsPort});
  }
  if (servers.empty()) servers.push_back({.ip = IpAddress::V4(0x7F000001), .port = kDnsPort});
  return servers;
}

}  // namespace postern::resolvd
