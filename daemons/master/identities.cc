#include "daemons/master/identities.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <set>

#include "common/config/accounts.h"

namespace postern::master {
namespace {

using config::kFirstPerson;
using config::kLastPerson;

// An instance's accounts come so far behind its first daemon.
constexpr uid_t kAccountsOffset = 64;
constexpr size_t kMaxAccountName = 32;

bool IsInstance(const config::Settings& settings) {
  return settings.root != "/" || settings.master.uid_base != 0;
}

uid_t UidBase(const config::Settings& settings) {
  return settings.master.uid_base != 0 ? settings.master.uid_base : kInstanceUidBase;
}

protocol::control::Account FromPasswd(const passwd& entry, const config::Settings& settings) {
  return {.name = entry.pw_name,
          .uid = entry.pw_uid,
          .gid = entry.pw_gid,
          .home = entry.pw_dir,
          .mailbox = MailboxPath(settings.local.mailbox, entry.pw_name, entry.pw_dir)};
}

}  // namespace

bool IsAccountName(std::string_view name) {
  if (name.empty() || name.size() > kMaxAccountName || name.front() == '-' || name.front() == '.')
    return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

std::string MailboxPath(const std::string& pattern, const std::string& user,
                        const std::string& home) {
  std::string path = pattern;
  for (const auto& [what, with] :
       {std::pair<std::string_view, const std::string&>{"{user}", user}, {"{home}", home}}) {
    for (size_t at = path.find(what); at != std::string::npos;
         at = path.find(what, at + with.size())) {
      path.replace(at, what.size(), with);
    }
  }
  return path;
}

namespace {

// The owner of `path`, if it is one of the instance's accounts.
std::optional<uid_t> AccountOwning(const std::string& path, uid_t first) {
  struct stat about;
  if (::lstat(path.c_str(), &about) < 0 || about.st_uid < first ||
      about.st_uid >= first + protocol::control::kMaxAccounts) {
    return std::nullopt;
  }
  return about.st_uid;
}

// An account keeps the number that its mailbox has; a new one gets one that no mailbox has, not
// even that of an account which is no longer in the configuration.
void GiveNumbers(const config::Settings& settings,
                 std::vector<protocol::control::Account>& accounts) {
  const uid_t first = UidBase(settings) + kAccountsOffset;
  std::set<uid_t> taken;
  std::set<std::string> parents;
  for (protocol::control::Account& account : accounts) {
    parents.insert(std::filesystem::path(account.mailbox).parent_path());
    const std::optional<uid_t> owner = AccountOwning(account.mailbox, first);
    if (owner.has_value() && taken.insert(*owner).second) account.uid = *owner;
  }
  for (const std::string& parent : parents) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
      if (const auto owner = AccountOwning(entry.path(), first); owner.has_value())
        taken.insert(*owner);
    }
  }
  uid_t next = first;
  for (protocol::control::Account& account : accounts) {
    while (account.uid == 0 && !taken.insert(next).second) ++next;
    if (account.uid == 0) account.uid = next;
    account.gid = account.uid;
  }
}

}  // namespace

absl::StatusOr<Identity> IdentityOf(protocol::control::Role role,
                                    const config::Settings& settings) {
  if (::geteuid() != 0) return Identity{};
  if (IsInstance(settings)) {
    const uid_t id = UidBase(settings) + static_cast<uid_t>(role);
    return Identity{.drop = true, .uid = id, .gid = id};
  }
  const std::string name = StrCat("postern-", std::string_view(protocol::control::RoleName(role)));
  errno = 0;
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) {
    return NotFound(
        "user ", name,
        " does not exist: run systemd-sysusers, or set root to a directory of the instance's own");
  }
  return Identity{.drop = true, .uid = entry->pw_uid, .gid = entry->pw_gid};
}

absl::StatusOr<std::vector<protocol::control::Account>> Accounts(const config::Settings& settings) {
  std::vector<protocol::control::Account> accounts;
  const bool numbered = ::geteuid() == 0 && IsInstance(settings);
  for (const std::string& name : settings.local.users) {
    if (name == "*") {
      ::setpwent();
      while (const passwd* entry = ::getpwent()) {
        if (entry->pw_uid >= kFirstPerson && entry->pw_uid <= kLastPerson &&
            IsAccountName(entry->pw_name)) {
          accounts.push_back(FromPasswd(*entry, settings));
        }
      }
      ::endpwent();
      continue;
    }
    if (!IsAccountName(name)) return InvalidArgument("local.users: ", name, " is no account name");
    if (numbered) {
      accounts.push_back({.name = name,
                          .uid = 0,  // given below
                          .gid = 0,
                          .home = settings.root,
                          .mailbox = MailboxPath(settings.local.mailbox, name, settings.root)});
      continue;
    }
    const passwd* entry = ::getpwnam(name.c_str());
    if (entry != nullptr && entry->pw_uid != 0) {
      accounts.push_back(FromPasswd(*entry, settings));
    } else if (::geteuid() != 0) {
      // Not root: every mailbox is ours, whoever it is named after.
      accounts.push_back({.name = name,
                          .uid = ::getuid(),
                          .gid = ::getgid(),
                          .home = settings.root,
                          .mailbox = MailboxPath(settings.local.mailbox, name, settings.root)});
    } else {
      return NotFound("local.users: there is no account ", name,
                      entry != nullptr ? " that may get mail (root may not)" : "");
    }
  }
  if (numbered) GiveNumbers(settings, accounts);
  return accounts;
}

}  // namespace postern::master
