// daemons/locald/recipients.h — which account a local recipient is. Pure.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/config/settings.h"
#include "common/ipc/protocol/control.h"

namespace postern::locald {

enum class Match : uint8_t {
  kAccount,
  kUnknown,  // no such user: known at RCPT, so the account is gone since
  kNobody,   // postmaster, and the configuration names nobody: trouble of ours
};

struct Destination {
  Match match = Match::kUnknown;
  std::string account;  // kAccount: its name as master knows it
};

class AccountTable {
 public:
  AccountTable(const config::Settings& settings,
               const std::vector<protocol::control::Account>& accounts);

  // Of "user@domain", "user+detail@domain" or "postmaster", which policyd took for local. Names are
  // compared without case. Postmaster (RFC 5321 §4.5.1) is local.postmaster; without that the
  // account of this name, else the first that local.users names ("*" names none).
  Destination Find(std::string_view address) const;

 private:
  std::string NameOf(std::string_view local_part) const;
  std::string PostmasterOf(const config::Settings& settings) const;

  std::unordered_map<std::string, std::string> names_;  // by name in lower case
  std::string delimiter_;
  std::string postmaster_;
};

}  // namespace postern::locald
