#include "daemons/locald/recipients.h"

#include <utility>

#include "common/smtp/address.h"
#include "common/smtp/ascii.h"

namespace postern::locald {
namespace {

std::string LocalPartOf(std::string_view address) {
  if (const auto mailbox = smtp::ParseMailbox(address, smtp::Utf8::kAllowed); mailbox.has_value())
    return std::string(mailbox->local_part);
  return std::string(address.substr(0, address.rfind('@')));
}

std::vector<config::LocalAccount> Listed(const std::vector<protocol::control::Account>& accounts) {
  std::vector<config::LocalAccount> listed;
  for (const protocol::control::Account& account : accounts)
    listed.push_back({.name = account.name, .uid = account.uid});
  return listed;
}

}  // namespace

AccountTable::AccountTable(const config::Settings& settings,
                           const std::vector<protocol::control::Account>& accounts)
    : accounts_(settings, Listed(accounts)) {}

Destination AccountTable::Find(std::string_view address) const {
  const std::string local_part = LocalPartOf(address);
  std::string name = accounts_.Find(local_part);
  if (!name.empty()) return {.match = Match::kAccount, .account = std::move(name)};
  const bool is_postmaster = smtp::EqualsIgnoringCase(local_part, "postmaster");
  return {.match = is_postmaster ? Match::kNobody : Match::kUnknown, .account = {}};
}

}  // namespace postern::locald
