// daemons/locald/recipients.h — which account a local recipient is. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/config/settings.h"
#include "common/ipc/protocol/control.h"

namespace postern::locald {

class AccountTable {
 public:
  AccountTable(const config::Settings& settings,
               const std::vector<protocol::control::Account>& accounts);

  // The account's name for "user@domain", "user+detail@domain" or "postmaster"; empty: unknown.
  std::string AccountFor(std::string_view address) const;

 private:
  std::vector<std::string> names_;
  std::string delimiter_;
  std::string postmaster_;
};

}  // namespace postern::locald
