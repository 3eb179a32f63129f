#include "daemons/resolvd/unbound_resolver.h"

#include <unbound.h>

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/escape.h"
#include "common/dns/limits.h"
#include "common/io/event.h"
#include "daemons/resolvd/limits.h"

namespace postern::resolvd {
namespace {

// What the callback calls `sec`.
constexpr int kUbBogus = 1;
constexpr int kUbSecure = 2;

dns::Security SecurityOf(int from_unbound) {
  if (from_unbound == kUbSecure) return dns::Security::kSecure;
  return from_unbound == kUbBogus ? dns::Security::kBogus : dns::Security::kInsecure;
}

absl::Status UnboundStatus(int error, std::string_view what) {
  if (error == 0) return absl::OkStatus();
  if (error == UB_NOMEM) return ResourceExhausted(what, ": ", ub_strerror(error));
  return InvalidArgument(what, ": ", ub_strerror(error));
}

dns::Answer ReadPacket(const dns::Name& name, dns::Type type, int rcode, std::string_view packet,
                       int security, const char* why_bogus) {
  // Packets of other codes than these are not to be looked at; a local answer of NXDOMAIN comes
  // with code 0 and has its own code in the packet.
  const auto code = static_cast<dns::Rcode>(rcode);
  if ((code != dns::Rcode::kNoError && code != dns::Rcode::kNameError) || packet.empty()) {
    dns::Answer failed = dns::Failure(name, "the resolver says " + dns::RcodeName(code));
    if (why_bogus != nullptr) failed.reason += ": " + Escaped(why_bogus);
    if (security == kUbBogus) failed.security = dns::Security::kBogus;
    return failed;
  }
  const Parsed<dns::Message> message = dns::ParseMessage(packet);
  if (!message.has_value())
    return dns::Failure(name, "the answer cannot be read: " + message.error().reason);
  dns::Answer answer = dns::AnswerFrom(*message, name, type, SecurityOf(security));
  if (answer.security == dns::Security::kBogus && why_bogus != nullptr)
    answer.reason = "DNSSEC: " + Escaped(why_bogus);
  return answer;
}

void IgnoreAnswer(void*, int, void*, int, int, char*, int) {}

}  // namespace

struct UnboundResolver::Pending {
  const dns::Name& name;
  const dns::Type type;
  dns::Answer answer;
  io::Event done;
};

void UnboundResolver::ContextDeleter::operator()(ub_ctx* context) const { ub_ctx_delete(context); }

UnboundResolver::~UnboundResolver() = default;  // the context first: it frees its events

absl::StatusOr<std::unique_ptr<UnboundResolver>> UnboundResolver::Create(
    const UnboundOptions& options) {
  std::unique_ptr<UnboundResolver> resolver(new UnboundResolver());
  RETURN_IF_ERROR(resolver->SetUp(options));
  return resolver;
}

absl::Status UnboundResolver::Set(const char* option, const std::string& value) {
  const int error = ub_ctx_set_option(context_.get(), option, value.c_str());
  return UnboundStatus(error, StrCat("libunbound option ", option, " ", value));
}

absl::Status UnboundResolver::SetUp(const UnboundOptions& options) {
  context_.reset(ub_ctx_create_ub_event(&events_));
  if (context_ == nullptr) return ResourceExhausted("libunbound: no context");
  ub_ctx_debugout(context_.get(), nullptr);  // what is worth a line is in the answer's reason
  // A quarter for messages and half for the records in them, as the library's manual advises; the
  // rest for keys and for what is known of servers.
  const uint64_t quarter = options.cache_octets / 4;
  const std::pair<const char*, std::string> values[] = {
      {"msg-cache-size:", std::to_string(quarter)},
      {"rrset-cache-size:", std::to_string(2 * quarter)},
      {"key-cache-size:", std::to_string(quarter / 2)},
      {"neg-cache-size:", std::to_string(quarter / 4)},
      {"infra-cache-numhosts:", "2000"},
      {"infra-host-ttl:", std::to_string(kServerMemorySeconds)},
      {"outgoing-range:", std::to_string(kOutgoingPorts)},
      {"num-queries-per-thread:", std::to_string(kMaxOutstandingQuestions)},
      {"outgoing-num-tcp:", std::to_string(kOutgoingConnections)},
      {"edns-buffer-size:", std::to_string(dns::kUdpPayloadOctets)},
      {"cache-max-ttl:", std::to_string(dns::kMaxTtlSeconds)},
      {"cache-max-negative-ttl:", std::to_string(dns::kMaxNegativeTtlSeconds)},
      {"harden-glue:", "yes"},
      {"harden-dnssec-stripped:", "yes"},
      {"harden-below-nxdomain:", "yes"},
      {"harden-short-bufsize:", "yes"},
      {"do-not-query-localhost:", "no"},
      // Signatures or not is a question of trust anchors alone.
      {"module-config:", options.trust_anchor.empty() ? "iterator" : "validator iterator"},
  };
  for (const auto& [option, value] : values) RETURN_IF_ERROR(Set(option, value));
  for (const std::string& domain : options.insecure_domains)
    RETURN_IF_ERROR(Set("domain-insecure:", domain));
  if (!options.trust_anchor.empty()) {
    const int error = ub_ctx_add_ta_file(context_.get(), options.trust_anchor.c_str());
    RETURN_IF_ERROR(UnboundStatus(error, StrCat("dns.trust_anchor ", options.trust_anchor)));
  }
  RETURN_IF_ERROR(AddServers(options));
  const absl::Status warmed = WarmUp(!options.servers.empty());
  if (warmed.ok() || options.trust_anchor.empty()) return warmed;
  return Annotate(warmed, "dns.trust_anchor ", options.trust_anchor);
}

absl::Status UnboundResolver::AddServers(const UnboundOptions& options) {
  for (const SocketAddress& server : options.servers) {
    const std::string text =
        StrCat(server.ip.ToString(), "@", server.port == 0 ? uint16_t{53} : server.port);
    RETURN_IF_ERROR(
        UnboundStatus(ub_ctx_set_fwd(context_.get(), text.c_str()), StrCat("dns.servers ", text)));
  }
  if (options.servers.empty()) return absl::OkStatus();
  // Who names servers of their own asks them about their own networks too, which the world's
  // signed zones know nothing of.
  for (const char* option : {"unblock-lan-zones:", "insecure-lan-zones:"})
    RETURN_IF_ERROR(Set(option, "yes"));
  return Set("domain-insecure:", "test");
}

// A question that is answered without any packet: after it, the context is built and the files are
// read.
absl::Status UnboundResolver::WarmUp(bool has_servers) {
  int id = 0;
  const int error = ub_resolve_event(context_.get(), "localhost", 1, 1, nullptr, IgnoreAnswer, &id);
  RETURN_IF_ERROR(UnboundStatus(error, "libunbound: first question"));
  if (!has_servers) return absl::OkStatus();
  // RFC 6761 §6.2: not asked about by default; configured servers may well have test zones.
  return UnboundStatus(ub_ctx_zone_remove(context_.get(), "test"), "libunbound: zone test");
}

void UnboundResolver::OnAnswer(void* argument, int rcode, void* packet, int octets, int security,
                               char* why_bogus, int) {
  auto& pending = *static_cast<Pending*>(argument);
  const std::string_view bytes(static_cast<const char*>(packet),
                               packet == nullptr ? 0 : static_cast<size_t>(std::max(octets, 0)));
  pending.answer = ReadPacket(pending.name, pending.type, rcode, bytes, security, why_bogus);
  pending.done.Set();
}

io::Task<dns::Answer> UnboundResolver::Lookup(const dns::Name& name, dns::Type type,
                                              io::Deadline until) {
  Pending pending{.name = name, .type = type, .answer = {}, .done = {}};
  const std::string text = name.ToText();
  int id = 0;
  const int error = ub_resolve_event(context_.get(), text.c_str(), static_cast<int>(type),
                                     dns::kClassIn, &pending, OnAnswer, &id);
  if (error != 0) co_return dns::Failure(name, std::string("libunbound: ") + ub_strerror(error));
  const absl::Status waited = co_await pending.done.Wait(until);
  if (pending.done.is_set()) co_return std::move(pending.answer);
  // Cancelled questions go on to fill the cache, but call nobody any more.
  CHECK(ub_cancel(context_.get(), id) == 0);
  co_return dns::Failure(
      name, absl::IsDeadlineExceeded(waited) ? "no answer in time" : "the resolver is stopping");
}

}  // namespace postern::resolvd
