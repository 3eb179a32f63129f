// common/config/settings.h — the whole configuration as typed values, after parsing and checking.
//
// One field here is one key of postern.toml, in the table of the struct's comment. Unit, default,
// range and help text of each are declared once, in settings_*.cc, and serve parsing, `postern
// check`, `postern explain` and docs/configuration.md. Relative paths are under `root`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/ip.h"

namespace postern::config {

enum class IoBackend { kAuto, kUring, kEpoll };
enum class BareNewline {
  kReject,
  kNormalise
};  // S03; kNormalise still ends mail at CRLF.CRLF only
enum class ResolverMode { kUnbound, kSystem };
enum class MailboxFormat { kMaildir, kMbox };
enum class LogTarget { kFile, kJournald, kSyslog, kStderr };
enum class LogFormat { kPlain, kJson };
enum class LogLevel { kDebug, kInfo, kNotice, kWarning, kError };  // as log::Severity counts
enum class HopProtocol { kSmtp, kLmtp };

// Where mail for a domain goes instead of its MX: "smtp://host:port", "lmtp://host:port",
// "lmtp:/path/of/socket" or "host:port" (SMTP). A host name given so is not looked up for MX.
struct NextHop {
  HopProtocol protocol = HopProtocol::kSmtp;
  HostPort host;            // empty host when `socket_path` is set
  std::string socket_path;  // absolute, LMTP only
  std::string ToString() const;
  friend bool operator==(const NextHop&, const NextHop&) = default;
};

struct Smtp {  // [smtp]: the server
  std::vector<SocketAddress> listen;
  std::string socket;  // path of the Unix listener for local submission; empty: none
  int workers = 1;
  std::string banner;  // words behind the host name in the greeting
  uint64_t max_message_octets = 0;
  int max_recipients = 0;
  int max_connections = 0;             // per worker
  int max_connections_per_client = 0;  // per IP address (IPv6: per /64)
  int max_messages_per_connection = 0;
  int max_errors = 0;  // bad commands and refused recipients before 421
  int max_hops = 0;    // Received fields (S08)
  int max_header_octets = 0;
  absl::Duration greeting_delay;
  absl::Duration command_timeout;  // RFC 5321 §4.5.3.2.7
  absl::Duration data_timeout;     // §4.5.3.2.5, between two reads
  absl::Duration session_limit;
  BareNewline bare_newline = BareNewline::kReject;
  bool require_helo = true;
};

struct Relay {                       // [relay]: who may send where
  std::vector<std::string> domains;  // taken from anyone, sent on; ".example.org": its subdomains
  std::vector<IpNetwork> networks;   // may send anywhere
};

struct Outbound {  // [outbound]: smtpc
  int workers = 1;
  uint16_t port = 25;
  std::optional<NextHop> smarthost;
  std::map<std::string, NextHop> routes;  // domain, or ".domain" for its subdomains
  int max_connections_per_destination = 0;
  int max_messages_per_connection = 0;
  absl::Duration connect_timeout;
  absl::Duration greeting_timeout;
  absl::Duration command_timeout;
  absl::Duration data_timeout;
  absl::Duration final_timeout;  // RFC 5321 §4.5.3.2.6
  absl::Duration idle_timeout;   // a kept connection
  bool ipv4 = true;
  bool ipv6 = true;
  bool loopback_allowed = false;  // may an MX name a loopback address?
};

struct Queue {  // [queue]
  std::vector<std::string> directories;
  uint64_t inline_octets = 0;  // larger messages are files of their own
  uint64_t segment_octets = 0;
  uint64_t reserve_octets = 0;  // below this much free space: 452
  absl::Duration retry_first;
  absl::Duration retry_longest;
  absl::Duration lifetime;
  absl::Duration bounce_lifetime;       // of null-sender mail
  absl::Duration delay_notice;          // zero: none
  int max_active = 0;                   // messages handed to delivery at once
  std::string double_bounce_recipient;  // empty: such notices are logged and dropped
};

struct Local {                     // [local]
  std::vector<std::string> users;  // account names, or "*": the system's accounts
  MailboxFormat format = MailboxFormat::kMaildir;
  std::string mailbox;              // path, {user} and {home} stand for the recipient's
  std::string postmaster;           // who gets postmaster's mail; empty: see accounts.h
  std::string recipient_delimiter;  // "+" : user+detail is user's
  int max_processes = 0;            // `deliver` processes at once
  absl::Duration timeout;
};

struct Dns {  // [dns]
  ResolverMode mode = ResolverMode::kUnbound;
  std::vector<SocketAddress>
      servers;  // empty: mode unbound recurses itself, mode system reads resolv.conf
  std::vector<std::string> insecure_domains;  // DNSSEC is not expected below these
  std::string trust_anchor;                   // file, mode unbound
  bool trust_ad = false;                      // believe the servers' AD bit, mode system
  uint64_t cache_octets = 0;
  absl::Duration timeout;  // one question, all tries together
};

struct Log {  // [log]
  LogTarget target = LogTarget::kFile;
  LogFormat format = LogFormat::kPlain;
  LogLevel level = LogLevel::kInfo;  // what is less severe is not written
  std::string file;
};

struct Master {  // [master]
  absl::Duration stop_timeout;
  absl::Duration restart_delay_longest;
  std::vector<std::string>
      allow_missing;  // layers of the confinement, as sandbox/missing.h names them
  uint32_t uid_base =
      0;  // instance started as root: the daemons' uids are uid_base+0, +1, ...; 0: named users
};

struct Settings {
  std::string hostname;              // own FQDN, lower case
  std::string root;                  // absolute; "/" installed
  std::vector<std::string> domains;  // local domains, lower-case A-labels
  IoBackend io = IoBackend::kAuto;
  std::string run_directory;
  Smtp smtp;
  Relay relay;
  Outbound outbound;
  Queue queue;
  Local local;
  Dns dns;
  Log log;
  Master master;
};

}  // namespace postern::config
