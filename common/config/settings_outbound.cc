#include "common/config/settings_tables.h"

namespace postern::config {
namespace {

const Setting kOutbound[] = {
    {POSTERN_SETTING(outbound.workers), .kind = Kind::kCount, .unit = "processes", .fallback = "1",
     .low = "1", .high = "64", .example = "2", .help = "How many client processes send mail."},
    {POSTERN_SETTING(outbound.port), .kind = Kind::kCount, .fallback = "25", .low = "1",
     .high = "65535", .example = "2525",
     .help = "The port of servers found by MX, and of next hops that name none. Other than 25 only "
             "for tests."},
    {POSTERN_SETTING(outbound.smarthost), .kind = Kind::kNextHop,
     .example = "smtp://relay.example.net:25",
     .help = "The server that takes all mail for other domains, instead of their MX: "
             "smtp://host:port, host:port, lmtp://host:port or lmtp:/path/of/socket. A host given "
             "so is not looked up for MX. Empty: none."},
    {POSTERN_SETTING(outbound.routes), .kind = Kind::kRoutes,
     .example = "example.com=smtp://10.0.0.5:25, .example.net=lmtp:/run/lmtp",
     .help = "Next hops of single domains, instead of the smarthost or their MX: a table of domain "
             "= next hop, where \".example.net\" stands for what is below example.net. The longest "
             "match counts."},
    {POSTERN_SETTING(outbound.max_connections_per_destination), .kind = Kind::kCount,
     .unit = "connections", .fallback = "20", .low = "1", .high = "1000", .example = "5",
     .help = "How many connections one destination gets at most. It starts with a few, earns more "
             "by success, and loses them by failure."},
    {POSTERN_SETTING(outbound.max_messages_per_connection), .kind = Kind::kCount,
     .unit = "messages", .fallback = "100", .low = "1", .high = "100000", .example = "20",
     .help = "How many messages one connection carries before it is closed."},
    {POSTERN_SETTING(outbound.connect_timeout), .kind = Kind::kDuration, .fallback = "30s",
     .low = "100ms", .high = "10m", .example = "1m",
     .help = "How long each address of a server is tried for a connection."},
    {POSTERN_SETTING(outbound.greeting_timeout), .kind = Kind::kDuration, .fallback = "5m",
     .low = "100ms", .high = "1h", .example = "2m",
     .help = "How long its greeting may take (RFC 5321 section 4.5.3.2.1)."},
    {POSTERN_SETTING(outbound.command_timeout), .kind = Kind::kDuration, .fallback = "5m",
     .low = "100ms", .high = "1h", .example = "2m",
     .help = "How long the reply to EHLO, MAIL, RCPT or RSET may take (RFC 5321 sections 4.5.3.2.2 "
             "and 4.5.3.2.3)."},
    {POSTERN_SETTING(outbound.data_timeout), .kind = Kind::kDuration, .fallback = "3m",
     .low = "100ms", .high = "1h", .example = "5m",
     .help = "How long the reply to DATA may take, and each piece of a message to be accepted by "
             "the network (RFC 5321 sections 4.5.3.2.4 and 4.5.3.2.5)."},
    {POSTERN_SETTING(outbound.final_timeout), .kind = Kind::kDuration, .fallback = "10m",
     .low = "100ms", .high = "1h", .example = "10m",
     .help = "How long the reply to the end of a message may take (RFC 5321 section 4.5.3.2.6). A "
             "short one makes duplicates: the server may have taken the message."},
    {POSTERN_SETTING(outbound.idle_timeout), .kind = Kind::kDuration, .fallback = "10s",
     .low = "0s", .high = "5m", .example = "5s",
     .help =
         "How long a connection without work is kept for the next message. 0s: it is not kept."},
    {POSTERN_SETTING(outbound.ipv4), .kind = Kind::kFlag, .fallback = "true", .example = "false",
     .help = "Whether servers are reached over IPv4."},
    {POSTERN_SETTING(outbound.ipv6), .kind = Kind::kFlag, .fallback = "true", .example = "false",
     .help = "Whether servers are reached over IPv6."},
    {POSTERN_SETTING(outbound.loopback_allowed), .kind = Kind::kFlag, .fallback = "false",
     .example = "true",
     .help = "Whether an MX of a foreign domain may name a loopback address. Otherwise such a "
             "domain's owner could make this server talk to itself. Next hops configured here may "
             "always be local."},
};

}  // namespace

std::span<const Setting> OutboundSettings() { return kOutbound; }

}  // namespace postern::config
