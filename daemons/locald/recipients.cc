#include "daemons/locald/recipients.h"

#include <algorithm>

#include "common/smtp/address.h"
#include "common/smtp/ascii.h"

namespace postern::locald {

AccountTable::AccountTable(const config::Settings& settings,
                           const std::vector<protocol::control::Account>& accounts)
    : delimiter_(settings.local.recipient_delimiter), postmaster_(settings.local.postmaster) {
  for (const protocol::control::Account& account : accounts) names_.push_back(account.name);
  // RFC 5321 §4.5.1: somebody must read postmaster's mail.
  if (postmaster_.empty()) {
    const bool own = std::find(names_.begin(), names_.end(), "postmaster") != names_.end();
    postmaster_ = own ? "postmaster" : names_.empty() ? "" : names_.front();
  }
}

std::string AccountTable::AccountFor(std::string_view address) const {
  std::string local(address.substr(0, address.rfind('@')));
  if (const auto mailbox = smtp::ParseMailbox(address, smtp::Utf8::kAllowed); mailbox.has_value())
    local = mailbox->local_part;
  const auto find = [this](std::string_view name) -> std::string {
    for (const std::string& known : names_) {
      if (smtp::EqualsIgnoringCase(known, name)) return known;
    }
    return {};
  };
  if (std::string name = find(local); !name.empty()) return name;
  if (smtp::EqualsIgnoringCase(local, "postmaster")) return find(postmaster_);
  if (delimiter_.empty()) return {};
  const size_t detail = local.find_first_of(delimiter_);
  return detail == std::string::npos || detail == 0
             ? std::string()
             : find(std::string_view(local).substr(0, detail));
}

}  // namespace postern::locald
