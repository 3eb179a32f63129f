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

constexpr std::string_view kPostmaster = "postmaster";

Verdict Accept(RecipientClass kind, std::string reason) {
  return {.decision = Decision::kAccept, .kind = kind, .reply = {}, .reason = std::move(reason)};
}

Verdict Reject(uint16_t code, std::string enhanced, std::string text, std::string reason) {
  return {.decision = Decision::kReject,
          .kind = RecipientClass::kRemote,
          .reply = {.code = code, .enhanced = std::move(enhanced), .text = std::move(text)},
          .reason = std::move(reason)};
}

Verdict Defer(uint16_t code, std::string enhanced, std::string text, std::string reason) {
  Verdict verdict = Reject(code, std::move(enhanced), std::move(text), std::move(reason));
  verdict.decision = Decision::kDefer;
  return verdict;
}

std::vector<config::LocalAccount> Listed(const std::vector<protocol::control::Account>& accounts) {
  std::vector<config::LocalAccount> listed;
  for (const protocol::control::Account& account : accounts)
    listed.push_back({.name = account.name, .uid = account.uid});
  return listed;
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
    : accounts_(settings, Listed(accounts)),
      networks_(settings.relay.networks),
      max_connections_per_client_(settings.smtp.max_connections_per_client) {
  for (const std::string& domain : settings.domains) domains_.insert(domain);
  for (const std::string& domain : settings.relay.domains) {
    if (domain.starts_with('.')) {
      relay_subdomains_.insert(domain.substr(1));
    } else {
      relay_domains_.insert(domain);
    }
  }
}

bool Rules::IsRelayDomain(std::string_view domain) const {
  if (relay_domains_.contains(domain)) return true;
  for (size_t dot = domain.find('.'); dot != std::string_view::npos;
       dot = domain.find('.', dot + 1)) {
    if (relay_subdomains_.contains(domain.substr(dot + 1))) return true;
  }
  return false;
}

// A route in disguise is no local user, and is not followed (S07).
Verdict Rules::DecideLocal(std::string_view local_part) const {
  if (!accounts_.Find(local_part).empty()) return Accept(RecipientClass::kLocal, "local user");
  // It has to be accepted (RFC 5321 §4.5.1), and there is nobody to give it to: trouble of ours.
  if (smtp::EqualsIgnoringCase(local_part, kPostmaster)) {
    return Defer(450, "4.3.5", "nobody is postmaster here yet, try again later",
                 "no account gets postmaster's mail: set local.postmaster");
  }
  return Reject(550, "5.1.1", "no such user here", "unknown local user");
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
  if (smtp::EqualsIgnoringCase(question.recipient, kPostmaster)) return DecideLocal(kPostmaster);
  const Parsed<smtp::Mailbox> recipient =
      smtp::ParseMailbox(question.recipient, smtp::Utf8::kAllowed);
  if (!recipient.has_value())
    return Reject(550, "5.1.3", "bad recipient address", "the recipient is not an address");
  const std::string domain = Canonical(recipient->domain);
  if (domains_.contains(domain)) return DecideLocal(recipient->local_part);
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
