// daemons/resolvd/unbound_resolver.h — a validating resolver: libunbound on our loop.
//
// It recurses from the root, or forwards to configured servers and still validates itself. Answers
// are remembered by the library, so that nothing else needs a cache in this mode.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/ip.h"
#include "common/base/status.h"
#include "daemons/resolvd/event_base.h"
#include "daemons/resolvd/resolver.h"

struct ub_ctx;

namespace postern::resolvd {

struct UnboundOptions {
  std::vector<SocketAddress> servers;  // empty: recursion from the root
  std::string trust_anchor;            // file with DNSKEY or DS records; empty: no validation
  std::vector<std::string> insecure_domains;  // no signatures are expected below these
  uint64_t cache_octets = 16u << 20;
};

class UnboundResolver final : public Resolver {
 public:
  // Reads the trust anchor and builds everything that libunbound builds at its first question: to
  // be done before the process is confined.
  // Errors: kInvalidArgument    an option is refused, the trust anchor cannot be read
  //         kResourceExhausted  no memory
  static absl::StatusOr<std::unique_ptr<UnboundResolver>> Create(const UnboundOptions& options);
  ~UnboundResolver() override;

  // Questions may be asked from here on. `loop` must outlive the resolver.
  void Attach(io::Loop& loop) { events_.Attach(loop); }

  io::Task<dns::Answer> Lookup(const dns::Name& name, dns::Type type, io::Deadline until) override;

 private:
  struct Pending;
  struct ContextDeleter {
    void operator()(ub_ctx* context) const;
  };

  UnboundResolver() = default;
  absl::Status SetUp(const UnboundOptions& options);
  absl::Status Set(const char* option, const std::string& value);
  absl::Status AddServers(const UnboundOptions& options);
  absl::Status WarmUp(bool has_servers);
  static void OnAnswer(void* pending, int rcode, void* packet, int octets, int security,
                       char* why_bogus, int rate_limited);

  EventBase events_;
  std::unique_ptr<ub_ctx, ContextDeleter> context_;
};

}  // namespace postern::resolvd
