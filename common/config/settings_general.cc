#include "common/config/settings_tables.h"

namespace postern::config {
namespace {

constexpr std::string_view kIoBackends[] = {"auto", "uring", "epoll"};
constexpr std::string_view kResolverModes[] = {"unbound", "system"};
constexpr std::string_view kLogTargets[] = {"file", "journald", "syslog", "stderr"};
constexpr std::string_view kLogFormats[] = {"plain", "json"};
// As sandbox/missing.h names them; a test compares.
constexpr std::string_view kLayers[] = {"namespaces", "mdwe", "landlock", "landlock-network",
                                        "landlock-scopes"};
constexpr std::string_view kLogLevels[] = {"debug", "info", "notice", "warning", "error"};

const Setting kTop[] = {
    {POSTERN_SETTING(hostname), .kind = Kind::kHostname, .example = "mail.example.org",
     .help = "The server's own fully qualified name: it stands in the greeting, in EHLO to other "
             "servers and in Received fields, and should resolve to this machine's address and "
             "back. Required."},
    {POSTERN_SETTING(domains), .kind = Kind::kDomains, .example = "example.org, example.net",
     .help = "The local domains: mail for them is delivered on this machine, to the accounts of "
             "local.users. A domain in Unicode and its A-label form are the same."},
    {POSTERN_SETTING(root), .kind = Kind::kPath, .fallback = "/", .reload = Reload::kRestart,
     .example = "/home/me/postern",
     .help = "The directory under which every relative path lies. With / the server is an "
             "installed one and uses the system's directories; with any other an instance that "
             "keeps everything below it. A relative root is taken from the directory of the "
             "configuration file."},
    {POSTERN_SETTING(io), .kind = Kind::kChoice, .fallback = "auto", .choices = kIoBackends,
     .reload = Reload::kRestart, .example = "epoll",
     .help = "How the processes wait for sockets and files: auto takes io_uring where the kernel "
             "permits it and epoll otherwise; uring and epoll insist."},
    {POSTERN_SETTING(run_directory), .kind = Kind::kPath, .fallback = "run/postern",
     .installed = "/run/postern", .reload = Reload::kRestart, .example = "/run/postern",
     .help = "The directory of the sockets on which the server answers the postern command, and of "
             "the lock that keeps a second server out."},
};

const Setting kDns[] = {
    {POSTERN_SETTING(dns.mode), .kind = Kind::kChoice, .fallback = "unbound",
     .choices = kResolverModes, .example = "system",
     .help = "unbound resolves with a validating resolver of our own; system asks the name servers "
             "of dns.servers or of /etc/resolv.conf and leaves validation to them."},
    {POSTERN_SETTING(dns.servers), .kind = Kind::kAddresses, .example = "127.0.0.1:53",
     .help = "The name servers to ask. Empty: mode unbound recurses from the root itself, mode "
             "system reads /etc/resolv.conf."},
    {POSTERN_SETTING(dns.insecure_domains), .kind = Kind::kDomains, .example = "internal.example",
     .help = "Domains below which no DNSSEC signatures are expected, such as zones that exist "
             "inside your own network only."},
    {POSTERN_SETTING(dns.trust_anchor), .kind = Kind::kPath, .fallback = "/usr/share/dns/root.key",
     .may_be_empty = true, .example = "/usr/share/dns/root.key",
     .help = "The file with the root zone's DNSSEC key, for mode unbound (Debian: package "
             "dns-root-data). Empty: nothing is validated."},
    {POSTERN_SETTING(dns.trust_ad), .kind = Kind::kFlag, .fallback = "false", .example = "true",
     .help = "In mode system, believe the name servers when they say that they have validated an "
             "answer. Right only if they and the way to them are trusted; servers on a loopback "
             "address are believed anyway."},
    {POSTERN_SETTING(dns.cache_octets), .kind = Kind::kSize, .fallback = "16MiB", .low = "64KiB",
     .high = "4GiB", .example = "64MiB", .help = "The memory for remembered answers."},
    {POSTERN_SETTING(dns.timeout), .kind = Kind::kDuration, .fallback = "20s", .low = "100ms",
     .high = "2m", .example = "10s",
     .help = "How long one question may take, all tries together. After that the mail that asked "
             "is deferred."},
};

const Setting kLog[] = {
    {POSTERN_SETTING(log.target), .kind = Kind::kChoice, .fallback = "file", .choices = kLogTargets,
     .example = "journald",
     .help = "Where events are written: to log.file, to the journal, to syslog's socket, or to "
             "standard error."},
    {POSTERN_SETTING(log.format), .kind = Kind::kChoice, .fallback = "plain",
     .choices = kLogFormats, .example = "json",
     .help = "plain writes key=value lines for people, json one object a line for programs."},
    {POSTERN_SETTING(log.level), .kind = Kind::kChoice, .fallback = "info", .choices = kLogLevels,
     .example = "notice",
     .help = "The least severe events that are written. info has a line for each step of each "
             "message, which postern why reads; notice and above have what was deferred, refused "
             "or went wrong."},
    {POSTERN_SETTING(log.file), .kind = Kind::kPath, .fallback = "log/postern.log",
     .installed = "/var/log/postern.log", .example = "/var/log/postern.log",
     .help = "The log file for target file. It is opened anew on a reload, so that it can be "
             "rotated."},
};

const Setting kMaster[] = {
    {POSTERN_SETTING(master.stop_timeout), .kind = Kind::kDuration, .fallback = "30s", .low = "0s",
     .high = "10m", .example = "1m",
     .help = "How long an orderly stop waits for work in hand. What is not finished then is cut "
             "off; queued mail is safe and is tried again at the next start."},
    {POSTERN_SETTING(master.restart_delay_longest), .kind = Kind::kDuration, .fallback = "1m",
     .low = "100ms", .high = "1h", .example = "10s",
     .help = "A process that dies is started anew at once; one that keeps dying after a delay that "
             "doubles up to this one."},
    {POSTERN_SETTING(master.allow_missing), .kind = Kind::kChoices, .choices = kLayers,
     .reload = Reload::kRestart, .example = "mdwe, landlock-network",
     .help = "Layers of the processes' confinement that may be missing. One that the kernel or a "
             "container does not give ends the start otherwise, with its name and what would give "
             "it; one that is listed here and missing is logged at each start of a process and "
             "shown by postern ps. landlock-network and landlock-scopes are parts of newer "
             "versions of landlock."},
    {POSTERN_SETTING(master.uid_base), .kind = Kind::kCount, .unit = "", .fallback = "0",
     .low = "1000", .high = "4294900000",
     .zero = "the users of the package, postern-smtpd and so on", .reload = Reload::kRestart,
     .example = "400000",
     .help = "For an instance started as root: its processes run under this user id and those "
             "after it, one each, without any entry in /etc/passwd. Choose a range that nobody "
             "has."},
};

}  // namespace

std::span<const Setting> TopSettings() { return kTop; }
std::span<const Setting> DnsSettings() { return kDns; }
std::span<const Setting> LogSettings() { return kLog; }
std::span<const Setting> MasterSettings() { return kMaster; }

}  // namespace postern::config
