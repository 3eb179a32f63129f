// daemons/smtpc/resolver.h — where a job goes: from its next hop to addresses, in the order of
// trying.
#pragma once

#include <string>
#include <vector>

#include "common/base/ip.h"
#include "common/config/settings.h"
#include "common/io/task.h"
#include "common/ipc/channel.h"
#include "common/ipc/protocol/delivery.h"
#include "common/ipc/protocol/smtpc_resolvd.h"

namespace postern::smtpc {

// One place to try.
struct Target {
  std::string host;  // its name, for logs and notices
  SocketAddress address;
  std::string socket_path;  // a Unix socket instead
  // "mx.example.net [192.0.2.1]"
  std::string ToString() const;
  // What connections are kept by: a server may speak SMTP and LMTP on one port, but not on one
  // connection.
  std::string Key(bool lmtp) const {
    return (lmtp ? "lmtp:" : "smtp:") + (socket_path.empty() ? address.ToString() : socket_path);
  }
};

// Where to, or why nowhere.
struct Targets {
  std::vector<Target> targets;
  bool permanent = false;  // without targets: a bounce (null MX, no such domain, a loop)
  std::string status;      // "4.4.3"
  std::string reason;
};

// Asks resolvd.
class Resolver {
 public:
  static constexpr size_t kMaxTargets = 16;

  // `resolvd` gives the channel of the moment, or nullptr.
  Resolver(io::Loop& loop, std::function<ipc::Channel*()> resolvd)
      : loop_(loop), resolvd_(std::move(resolvd)) {}

  io::Task<Targets> Resolve(const protocol::delivery::Job& job, const config::Settings& settings);

 private:
  io::Task<protocol::dns::Answer> Ask(const std::string& name, protocol::dns::RecordType type,
                                      const config::Settings& settings);
  io::Task<bool> AddHost(const std::string& host, uint16_t port, bool explicit_hop,
                         const config::Settings& settings, Targets& to);
  io::Task<Targets> ResolveDomain(const std::string& domain, const config::Settings& settings);

  io::Loop& loop_;
  std::function<ipc::Channel*()> resolvd_;
};

}  // namespace postern::smtpc
