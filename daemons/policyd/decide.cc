#include "daemons/policyd/decide.h"

#include <algorithm>

#include "common/smtp/address.h"
#include "common/smtp/ascii.h"
#include "common/smtp/domain.h"

namespace postern::policyd {
namespace {

using protocol::RecipientClass;
using protocol::policy::Decision;
using protocol::policy::Verdict;

Verdict Accept(RecipientClass kind, std::string reason) {
  return {.decision = Decision::kAccept, .kind = kind, .reply = {}, .reason = std::move(reason)};
}

Verdict Reject(uint16_t code, std::string enhanced, std::string text, std::string reason) {
  return {.decision = Decision::kReject,
          .kind = RecipientClass::kRemote,
          .reply = {.code = code, .enhanced = std::move(enhanced), .text = std::move(text)},
          .reason = std::move(reason)};
}

// A domain as tables hold it: A-labels in lower case. Literals stay as they are.
std::string Canonical(std::string_view domain) {
  if (domain.starts_with('[')) return std::string(domain);
  const Parsed<std::string> ascii = smtp::ToAscii(domain);
  return ascii.has_value() ? *ascii : smtp::AsciiLower(domain);
}

}  // namespace

Rules::Rules(const config::Settings& settings,
             const std::vector<protocol::control::Account>& accounts)
    : hostname_(settings.hostname),
      networks_(settings.relay.networks),
      delimiter_(settings.local.recipient_delimiter),
      max_connections_per_client_(settings.smtp.max_connections_per_client) {
  for (const std::string& domain : settings.domains) domains_.insert(domain);
  for (const std::string& domain : settings.relay.domains) {
    if (domain.starts_with('.')) {
      relay_subdomains_.insert(domain.substr(1));
    } else {
      relay_domains_.insert(domain);
    }
  }
  for (const protocol::control::Account& account : accounts)
    users_.insert(smtp::AsciiLower(account.name));
}

bool Rules::IsRelayDomain(std::string_view domain) const {
  if (relay_domains_.contains(domain)) return true;
  for (size_t dot = domain.find('.'); dot != std::string_view::npos;
       dot = domain.find('.', dot + 1)) {
    if (relay_subdomains_.contains(domain.substr(dot + 1))) return true;
  }
  return false;
}

// Names are compared without case; what follows the delimiter is the user's own business.
bool Rules::UserExists(std::string_view local_part) const {
  const std::string name = smtp::AsciiLower(local_part);
  if (name == "postmaster" || users_.contains(name)) return true;
  if (delimiter_.empty()) return false;
  const size_t detail = name.find_first_of(delimiter_);
  return detail != std::string::npos && detail > 0 &&
         users_.contains(std::string_view(name).substr(0, detail));
}

bool Rules::MayRelay(const protocol::policy::RecipientQuestion& question) const {
  if (!question.local_user.empty() || !question.login.empty()) return true;
  const IpAddress client = question.client.ToAddress();
  return std::any_of(networks_.begin(), networks_.end(),
                     [&](const IpNetwork& network) { return network.Contains(client); });
}

Verdict Rules::Decide(const protocol::policy::RecipientQuestion& question) const {
  if (!question.sender.empty() &&
      !smtp::ParseMailbox(question.sender, smtp::Utf8::kAllowed).has_value()) {
    return Reject(550, "5.1.7", "bad sender address", "the sender is not an address");
  }
  if (smtp::EqualsIgnoringCase(question.recipient, "postmaster"))
    return Accept(RecipientClass::kLocal, "postmaster");
  const Parsed<smtp::Mailbox> recipient =
      smtp::ParseMailbox(question.recipient, smtp::Utf8::kAllowed);
  if (!recipient.has_value())
    return Reject(550, "5.1.3", "bad recipient address", "the recipient is not an address");
  const std::string domain = Canonical(recipient->domain);
  if (domains_.contains(domain)) {
    // A route in disguise is no local user, and is not followed (S07).
    if (UserExists(recipient->local_part)) return Accept(RecipientClass::kLocal, "local user");
    return Reject(550, "5.1.1", "no such user here", "unknown local user");
  }
  if (IsRelayDomain(domain)) {
    if (question.routed_local_part && !MayRelay(question)) {
      return Reject(550, "5.7.1", "relaying denied: routed address",
                    "routed local part at a relay domain");
    }
    return Accept(RecipientClass::kRelay, "relay domain");
  }
  if (MayRelay(question)) return Accept(RecipientClass::kRemote, "the client may relay");
  return Reject(550, "5.7.1", "relaying denied",
                "neither a domain of ours nor a client that may relay");
}

IpAddress ConnectionCounter::KeyOf(const IpAddress& client) {
  return client.is_v6() ? IpNetwork::Of(client, 64).address() : client;
}

bool ConnectionCounter::Add(const IpAddress& client, int limit) {
  int& count = counts_[KeyOf(client)];
  if (count >= limit) return false;
  ++count;
  return true;
}

void ConnectionCounter::Remove(const IpAddress& client) {
  const auto found = counts_.find(KeyOf(client));
  if (found == counts_.end()) return;
  if (--found->second == 0) counts_.erase(found);
}

int ConnectionCounter::count(const IpAddress& client) const {
  const auto found = counts_.find(KeyOf(client));
  return found == counts_.end() ? 0 : found->second;
}

}  // namespace postern::policyd
