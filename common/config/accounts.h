// common/config/accounts.h — which account a local part is, and who is postmaster. Pure. policyd,
// which accepts mail, and locald, which delivers it, ask the same table, so that they agree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/config/settings.h"

namespace postern::config {

// Uids of people, as Debian gives them out (adduser.conf): those that "*" of local.users means.
inline constexpr uint32_t kFirstPerson = 1000;
inline constexpr uint32_t kLastPerson = 59999;

struct LocalAccount {
  std::string name;
  uint32_t uid = 0;
};

class LocalAccounts {
 public:
  // `accounts`: all that local.users stands for.
  LocalAccounts(const Settings& settings, const std::vector<LocalAccount>& accounts);

  // The account's name as the system writes it, "" for nobody's. Names are compared without case;
  // what follows local.recipient_delimiter is the user's own business. "postmaster" is whoever
  // postmaster() says.
  std::string Find(std::string_view local_part) const;

  // RFC 5321 §4.5.1: local.postmaster; without that the account of this name, else the first that
  // local.users names, with "*" the account with the lowest uid. "" if there is nobody.
  const std::string& postmaster() const { return postmaster_; }

 private:
  std::string NameOf(std::string_view local_part) const;
  std::string PostmasterOf(const Settings& settings,
                           const std::vector<LocalAccount>& accounts) const;

  std::unordered_map<std::string, std::string> names_;  // by name in lower case
  std::string delimiter_;
  std::string postmaster_;
};

}  // namespace postern::config
