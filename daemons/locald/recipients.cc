#include "daemons/locald/recipients.h"

#include <algorithm>

#include "common/smtp/address.h"
#include "common/smtp/ascii.h"

namespace postern::locald {
namespace {

std::string LocalPartOf(std::string_view address) {
  if (const auto mailbox = smtp::ParseMailbox(address, smtp::Utf8::kAllowed); mailbox.has_value())
    return std::string(mailbox->local_part);
  return std::string(address.substr(0, address.rfind('@')));
}

}  // namespace

AccountTable::AccountTable(const config::Settings& settings,
                           const std::vector<protocol::control::Account>& accounts)
    : delimiter_(settings.local.recipient_delimiter) {
  for (const protocol::control::Account& account : accounts)
    names_.emplace(smtp::AsciiLower(account.name), account.name);
  postmaster_ = PostmasterOf(settings);
}

std::string AccountTable::PostmasterOf(const config::Settings& settings) const {
  if (const std::string& named = settings.local.postmaster; !named.empty()) {
    const size_t at = named.rfind('@');
    if (at == std::string::npos) return NameOf(named);
    // An address elsewhere would have to be sent on, which local delivery does not.
    const std::string domain = smtp::AsciiLower(named.substr(at + 1));
    const bool local = std::find(settings.domains.begin(), settings.domains.end(), domain) !=
                       settings.domains.end();
    return local ? NameOf(LocalPartOf(named)) : std::string();
  }
  if (std::string own = NameOf("postmaster"); !own.empty()) return own;
  // Not the first that "*" happens to find: nobody chose that person.
  for (const std::string& user : settings.local.users) {
    if (user != "*") return NameOf(user);
  }
  return {};
}

std::string AccountTable::NameOf(std::string_view local_part) const {
  const std::string lower = smtp::AsciiLower(local_part);
  if (const auto whole = names_.find(lower); whole != names_.end()) return whole->second;
  if (delimiter_.empty()) return {};
  const size_t detail = lower.find_first_of(delimiter_);
  if (detail == std::string::npos || detail == 0) return {};
  const auto user = names_.find(lower.substr(0, detail));
  return user == names_.end() ? std::string() : user->second;
}

Destination AccountTable::Find(std::string_view address) const {
  const std::string local_part = LocalPartOf(address);
  std::string name;
  if (smtp::EqualsIgnoringCase(local_part, "postmaster")) {
    if (postmaster_.empty()) return {.match = Match::kNobody, .account = {}};
    name = postmaster_;
  } else {
    name = NameOf(local_part);
  }
  if (name.empty()) return {};
  return {.match = Match::kAccount, .account = std::move(name)};
}

}  // namespace postern::locald
