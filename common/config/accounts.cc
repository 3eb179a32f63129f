#include "common/config/accounts.h"

#include <algorithm>

namespace postern::config {
namespace {

constexpr std::string_view kPostmaster = "postmaster";

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

}  // namespace

LocalAccounts::LocalAccounts(const Settings& settings, const std::vector<LocalAccount>& accounts)
    : delimiter_(settings.local.recipient_delimiter) {
  for (const LocalAccount& account : accounts) names_.emplace(Lower(account.name), account.name);
  postmaster_ = PostmasterOf(settings, accounts);
}

std::string LocalAccounts::PostmasterOf(const Settings& settings,
                                        const std::vector<LocalAccount>& accounts) const {
  // An address is one at a local domain: check.cc sees to that.
  const std::string& named = settings.local.postmaster;
  if (!named.empty()) return NameOf(std::string_view(named).substr(0, named.rfind('@')));
  if (std::string own = NameOf(kPostmaster); !own.empty()) return own;
  for (const std::string& user : settings.local.users)
    if (user != "*") return NameOf(user);
  const auto lowest = std::ranges::min_element(accounts, {}, &LocalAccount::uid);
  return lowest == accounts.end() ? std::string() : lowest->name;
}

std::string LocalAccounts::NameOf(std::string_view local_part) const {
  const std::string lower = Lower(local_part);
  if (const auto whole = names_.find(lower); whole != names_.end()) return whole->second;
  if (delimiter_.empty()) return {};
  const size_t detail = lower.find_first_of(delimiter_);
  if (detail == std::string::npos || detail == 0) return {};
  const auto user = names_.find(lower.substr(0, detail));
  return user == names_.end() ? std::string() : user->second;
}

std::string LocalAccounts::Find(std::string_view local_part) const {
  return Lower(local_part) == kPostmaster ? postmaster_ : NameOf(local_part);
}

}  // namespace postern::config
