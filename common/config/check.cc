#include "common/config/check.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/escape.h"
#include "common/config/accounts.h"
#include "common/config/path.h"
#include "common/config/units.h"

namespace postern::config {
namespace {

std::string Show(std::string_view text) { return "\"" + Escaped(text, 300) + "\""; }
std::string Show(absl::Duration duration) { return "\"" + DurationText(duration) + "\""; }

void CheckHostname(const Settings& settings, Report& report) {
  if (settings.hostname.empty() && !report.IsGiven("hostname"))
    report.Complain({1, 1},
                    "hostname is missing: add a line such as hostname = \"mail.example.org\" at "
                    "the top, with this server's own name");
}

void CheckDomains(const Settings& settings, Report& report) {
  for (const std::string& domain : settings.domains) {
    for (const std::string& relayed : settings.relay.domains)
      if (domain == relayed)
        report.Complain(
            std::max(report.PlaceOf("domains", domain), report.PlaceOf("relay.domains", domain)),
            Show(domain) +
                " is in domains and in relay.domains: mail for it is either delivered "
                "here or sent on, so remove it from one of them");
    if (settings.outbound.routes.contains(domain))
      report.Complain(report.PlaceOf("outbound.routes", domain),
                      "outbound.routes has " + Show(domain) +
                          ", which is in domains and so delivered here: to send its mail on, move "
                          "it from domains to relay.domains");
  }
}

bool IsWildcard(const SocketAddress& address) {
  return address.ip == IpAddress::V4(0) || address.ip == IpAddress::V6({});
}

void CheckListeners(const Settings& settings, Report& report) {
  const auto& listen = settings.smtp.listen;
  if (listen.empty() && settings.smtp.socket.empty())
    report.Complain(
        report.LaterOf("smtp.listen", "smtp.socket"),
        "smtp.listen and smtp.socket are both empty, so no mail could come in; give one "
        "of them");
  for (const SocketAddress& wide : listen)
    for (const SocketAddress& narrow : listen)
      if (IsWildcard(wide) && !IsWildcard(narrow) && wide.port == narrow.port &&
          wide.ip.family() == narrow.ip.family())
        report.Complain(report.PlaceOf("smtp.listen", narrow.ToString()),
                        "smtp.listen has " + Show(narrow.ToString()) + ", which " +
                            Show(wide.ToString()) + " covers already; remove one");
}

// What a socket of this path is for, and which settings decide where it lies.
void CheckSocket(const std::string& path, const char* key, Report& report) {
  if (path.size() <= kMaxSocketPathOctets) return;
  const bool is_given = report.IsGiven(key);
  report.Complain(is_given ? report.PlaceOf(key) : report.PlaceOf("root"),
                  std::string(key) + ": the path of a socket has at most " +
                      std::to_string(kMaxSocketPathOctets) + " octets, and " + Show(path) +
                      " has " + std::to_string(path.size()) + "; choose a shorter " +
                      (is_given ? "one" : "root, or set " + std::string(key)));
}

void CheckSockets(const Settings& settings, Report& report) {
  CheckSocket(settings.smtp.socket, "smtp.socket", report);
  // The longest of those by which `postern` asks the processes.
  CheckSocket(settings.run_directory + "/queue-15.sock", "run_directory", report);
}

void CheckOutbound(const Settings& settings, Report& report) {
  if (!settings.outbound.ipv4 && !settings.outbound.ipv6)
    report.Complain(report.LaterOf("outbound.ipv4", "outbound.ipv6"),
                    "outbound.ipv4 and outbound.ipv6 are both false, so no server could be "
                    "reached; leave one of them true");
}

void CheckTimes(const Queue& queue, Report& report) {
  if (queue.retry_first > queue.retry_longest)
    report.Complain(report.LaterOf("queue.retry_first", "queue.retry_longest"),
                    "queue.retry_first (" + Show(queue.retry_first) +
                        ") is longer than queue.retry_longest (" + Show(queue.retry_longest) +
                        "); make the first retry come sooner, or the longest wait longer");
  if (queue.bounce_lifetime > queue.lifetime)
    report.Complain(report.LaterOf("queue.bounce_lifetime", "queue.lifetime"),
                    "queue.bounce_lifetime (" + Show(queue.bounce_lifetime) +
                        ") is longer than queue.lifetime (" + Show(queue.lifetime) +
                        "); make it at most as long");
  if (queue.delay_notice >= queue.lifetime && report.IsGiven("queue.delay_notice"))
    report.Complain(report.LaterOf("queue.delay_notice", "queue.lifetime"),
                    "queue.delay_notice (" + Show(queue.delay_notice) +
                        ") is not shorter than queue.lifetime (" + Show(queue.lifetime) +
                        "), so it would never be sent; make it shorter, or \"0s\" for none");
}

void CheckStore(const Queue& queue, Report& report) {
  if (queue.inline_octets > queue.segment_octets / 4)
    report.Complain(report.LaterOf("queue.inline_octets", "queue.segment_octets"),
                    "queue.inline_octets (" + SizeText(queue.inline_octets) +
                        ") is more than a quarter of queue.segment_octets (" +
                        SizeText(queue.segment_octets) + "); make it smaller");
  if (queue.directories.empty())
    report.Complain(report.PlaceOf("queue.directories"),
                    "queue.directories is empty; name at least one directory");
  if (queue.directories.size() > 16)
    report.Complain(report.PlaceOf("queue.directories"),
                    "queue.directories has more than 16 directories; name fewer");
  for (const std::string& outer : queue.directories)
    for (const std::string& inner : queue.directories)
      if (&outer != &inner && IsWithin(outer, inner))
        report.Complain(report.PlaceOf("queue.directories"),
                        "queue.directories has " + Show(inner) + ", which is or lies in " +
                            Show(outer) + "; put them beside each other");
}

// Every {word} is known, and the path differs from user to user.
void CheckMailbox(const std::string& mailbox, Report& report) {
  const Position at = report.PlaceOf("local.mailbox");
  std::string rest = mailbox;
  bool is_personal = false;
  for (const char* known : {"{user}", "{home}"})
    for (size_t i; (i = rest.find(known)) != rest.npos; is_personal = true) rest.erase(i, 6);
  if (rest.find_first_of("{}") != rest.npos) {
    report.Complain(
        at, "local.mailbox is " + Show(mailbox) + "; only {user} and {home} may stand in braces");
  } else if (!is_personal) {
    report.Complain(at, "local.mailbox is " + Show(mailbox) +
                            ", the same for everybody; put {user} or {home} into it");
  } else if (mailbox.find("{home}", 1) != mailbox.npos) {
    report.Complain(
        at, "local.mailbox is " + Show(mailbox) + "; {home} is a whole path, so it stands first");
  }
}

// The accounts of a configuration without "*".
LocalAccounts Named(const Settings& settings) {
  std::vector<LocalAccount> accounts;
  for (const std::string& user : settings.local.users) accounts.push_back({.name = user, .uid = 0});
  return LocalAccounts(settings, accounts);
}

void CheckPostmaster(const Settings& settings, Report& report) {
  const Local& local = settings.local;
  const size_t at = local.postmaster.rfind('@');
  if (at != std::string::npos &&
      std::ranges::find(settings.domains, local.postmaster.substr(at + 1)) ==
          settings.domains.end()) {
    report.Complain(report.PlaceOf("local.postmaster"),
                    "local.postmaster is " + Show(local.postmaster) +
                        ", an address at another host; mail for postmaster is delivered here, so "
                        "name an account of local.users");
    return;
  }
  // Which accounts "*" stands for is not known here.
  if (local.postmaster.empty() || std::ranges::find(local.users, "*") != local.users.end()) return;
  if (Named(settings).postmaster().empty())
    report.Complain(report.LaterOf("local.postmaster", "local.users"),
                    "local.postmaster is " + Show(local.postmaster) +
                        ", which is none of local.users; name one of them");
}

// Mail for an address here that nobody has would be lost, as a notice about a notice is.
void CheckDoubleBounce(const Settings& settings, Report& report) {
  const std::string& recipient = settings.queue.double_bounce_recipient;
  const std::vector<std::string>& users = settings.local.users;
  const size_t at = recipient.rfind('@');
  const bool is_local =
      at == std::string::npos ||
      std::ranges::find(settings.domains, recipient.substr(at + 1)) != settings.domains.end();
  if (recipient.empty() || !is_local || std::ranges::find(users, "*") != users.end()) return;
  if (Named(settings).Find(std::string_view(recipient).substr(0, at)).empty())
    report.Complain(report.LaterOf("queue.double_bounce_recipient", "local.users"),
                    "queue.double_bounce_recipient is " + Show(recipient) +
                        ", which is none of local.users; name one of them");
}

void CheckLocal(const Local& local, Report& report) {
  CheckMailbox(local.mailbox, report);
  if (local.users.size() > 1)
    for (const std::string& user : local.users)
      if (user == "*")
        report.Complain(report.PlaceOf("local.users", "*"),
                        "local.users has \"*\" beside others; \"*\" alone stands for all accounts");
  const std::string& delimiter = local.recipient_delimiter;
  if (delimiter.size() > 1 || delimiter.find_first_not_of("!#$%&*+-/=?^_~.") != delimiter.npos)
    report.Complain(report.PlaceOf("local.recipient_delimiter"),
                    "local.recipient_delimiter is " + Show(delimiter) +
                        "; it must be one character such as \"+\" or \"-\", or \"\" for none");
}

void CheckDns(const Dns& dns, Report& report) {
  if (dns.trust_ad && dns.mode != ResolverMode::kSystem)
    report.Complain(report.LaterOf("dns.trust_ad", "dns.mode"),
                    "dns.trust_ad belongs to dns.mode = \"system\"; mode unbound validates answers "
                    "itself, so remove it");
}

}  // namespace

void CheckTogether(const Settings& settings, Report& report) {
  CheckHostname(settings, report);
  CheckDomains(settings, report);
  CheckListeners(settings, report);
  CheckSockets(settings, report);
  CheckOutbound(settings, report);
  CheckTimes(settings.queue, report);
  CheckStore(settings.queue, report);
  CheckLocal(settings.local, report);
  CheckPostmaster(settings, report);
  CheckDoubleBounce(settings, report);
  CheckDns(settings.dns, report);
}

}  // namespace postern::config
