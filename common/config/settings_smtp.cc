#include "common/config/settings_tables.h"

namespace postern::config {
namespace {

constexpr std::string_view kBareNewlines[] = {"reject", "normalise"};

const Setting kSmtp[] = {
    {POSTERN_SETTING(smtp.listen), .kind = Kind::kAddresses, .fallback = "0.0.0.0:25, [::]:25",
     .example = "192.0.2.1:25, [2001:db8::1]:25",
     .help = "The addresses and ports to accept SMTP connections on. 0.0.0.0 and [::] stand for "
             "all IPv4 and all IPv6 addresses of this machine."},
    {POSTERN_SETTING(smtp.socket), .kind = Kind::kPath, .fallback = "run/postern/submit",
     .installed = "/run/postern/submit", .may_be_empty = true, .example = "/run/postern/submit",
     .help = "The Unix socket on which programs of this machine submit mail (the sendmail command "
             "uses it); the kernel tells which user speaks. Empty: none."},
    {POSTERN_SETTING(smtp.workers), .kind = Kind::kCount, .unit = "processes", .fallback = "1",
     .low = "1", .high = "64", .example = "4",
     .help = "How many server processes share the listening sockets. One is enough for thousands "
             "of connections; more use more processor cores."},
    {POSTERN_SETTING(smtp.banner), .kind = Kind::kText, .fallback = "ESMTP", .may_be_empty = true,
     .example = "ESMTP no solicitation",
     .help = "The words behind the host name in the greeting. The default, which an empty text "
             "stands for too, tells neither product nor version."},
    {POSTERN_SETTING(smtp.max_message_octets), .kind = Kind::kSize, .fallback = "50MiB",
     .low = "64KiB", .high = "2GiB", .zero = "no limit", .example = "100MiB",
     .help = "The largest message taken, announced as SIZE (RFC 1870) and enforced on the octets "
             "that arrive. RFC 5321 section 4.5.3.1.7 asks for 64 KiB at least."},
    {POSTERN_SETTING(smtp.max_recipients), .kind = Kind::kCount, .unit = "recipients",
     .fallback = "1000", .low = "1", .high = "50000", .example = "100",
     .help = "How many recipients one message may have; those beyond are deferred with 452, and "
             "the client sends them in a message of their own. RFC 5321 section 4.5.3.1.8 asks for "
             "100 at least."},
    {POSTERN_SETTING(smtp.max_connections), .kind = Kind::kCount, .unit = "connections",
     .fallback = "2000", .low = "1", .high = "100000", .example = "5000",
     .help = "How many connections each server process keeps at once; further ones are told 421."},
    {POSTERN_SETTING(smtp.max_connections_per_client), .kind = Kind::kCount, .unit = "connections",
     .fallback = "50", .low = "1", .high = "100000", .example = "10",
     .help = "How many of them one client may have: an IPv4 address, or an IPv6 network of 64 "
             "bits. Clients in relay.networks and on loopback are counted as well."},
    {POSTERN_SETTING(smtp.max_messages_per_connection), .kind = Kind::kCount, .unit = "messages",
     .fallback = "1000", .low = "1", .high = "1000000", .zero = "no limit", .example = "100",
     .help = "After so many messages a connection is closed with 421, and the client connects "
             "anew."},
    {POSTERN_SETTING(smtp.max_errors), .kind = Kind::kCount, .unit = "errors", .fallback = "20",
     .low = "1", .high = "10000", .example = "10",
     .help = "After so many bad commands and refused recipients a connection is closed with 421: "
             "that is how guessing at addresses looks."},
    {POSTERN_SETTING(smtp.max_hops), .kind = Kind::kCount, .unit = "Received fields",
     .fallback = "50", .low = "1", .high = "1000", .example = "100",
     .help = "A message with more Received fields than this is going round in a loop and is "
             "refused with 5.4.6. RFC 5321 section 6.3 asks for 100 or so where loops are rare; "
             "real mail stays below 30."},
    {POSTERN_SETTING(smtp.max_header_octets), .kind = Kind::kSize, .fallback = "256KiB",
     .low = "4KiB", .high = "16MiB", .example = "1MiB",
     .help = "How large the header of a message may be."},
    {POSTERN_SETTING(smtp.greeting_delay), .kind = Kind::kDuration, .fallback = "0s", .low = "0s",
     .high = "1m", .example = "3s",
     .help = "How long the greeting is held back. A client that speaks meanwhile is refused: real "
             "mail servers wait."},
    {POSTERN_SETTING(smtp.command_timeout), .kind = Kind::kDuration, .fallback = "5m", .low = "1s",
     .high = "1h", .example = "2m",
     .help = "How long the server waits for the next command. RFC 5321 section 4.5.3.2.7 asks for "
             "5 minutes."},
    {POSTERN_SETTING(smtp.data_timeout), .kind = Kind::kDuration, .fallback = "3m", .low = "1s",
     .high = "1h", .example = "5m",
     .help = "How long it waits for the next piece of a message (RFC 5321 section 4.5.3.2.5)."},
    {POSTERN_SETTING(smtp.session_limit), .kind = Kind::kDuration, .fallback = "1h", .low = "1s",
     .high = "7d", .example = "4h",
     .help = "How long one connection may last in all, so that nobody holds one by trickling "
             "octets."},
    {POSTERN_SETTING(smtp.bare_newline), .kind = Kind::kChoice, .fallback = "reject",
     .choices = kBareNewlines, .example = "normalise",
     .help = "What happens to a CR or LF that stands alone in a message: reject refuses the "
             "message; normalise makes it a line end. A message ends at CRLF.CRLF only, either "
             "way, so none can be smuggled inside another."},
    {POSTERN_SETTING(smtp.require_helo), .kind = Kind::kFlag, .fallback = "true",
     .example = "false", .help = "Whether MAIL before EHLO or HELO is refused with 503."},
};

const Setting kRelay[] = {
    {POSTERN_SETTING(relay.domains), .kind = Kind::kDomainPatterns,
     .example = "example.com, .example.net",
     .help = "Domains whose mail is taken from anyone and sent on, by outbound.routes or their MX: "
             "for a backup or a gateway. \".example.net\" stands for what is below example.net, "
             "without itself. A local domain is not listed here."},
    {POSTERN_SETTING(relay.networks), .kind = Kind::kNetworks,
     .example = "192.0.2.0/24, 2001:db8::/32",
     .help = "Networks whose machines may send to any domain. Nobody may by default. Keep it to "
             "machines that you answer for: who can relay can send spam in your name."},
};

}  // namespace

std::span<const Setting> SmtpSettings() { return kSmtp; }
std::span<const Setting> RelaySettings() { return kRelay; }

}  // namespace postern::config
