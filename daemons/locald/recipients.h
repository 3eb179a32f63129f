// daemons/locald/recipients.h — which account a local recipient is. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/config/accounts.h"
#include "common/ipc/protocol/control.h"

namespace postern::locald {

enum class Match : uint8_t {
  kAccount,
  kUnknown,  // no such user: known at RCPT, so the account is gone since
  kNobody,   // postmaster, and there is no account any more: trouble of ours
};

struct Destination {
  Match match = Match::kUnknown;
  std::string account;  // kAccount: its name as master knows it
};

class AccountTable {
 public:
  AccountTable(const config::Settings& settings,
               const std::vector<protocol::control::Account>& accounts);

  // Of "user@domain", "user+detail@domain" or "postmaster", which policyd took for local.
  Destination Find(std::string_view address) const;

 private:
  config::LocalAccounts accounts_;
};

}  // namespace postern::locald
