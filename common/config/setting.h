// common/config/setting.h — what is said once about each setting: its key, type, unit, default,
// range and help. Parsing, checking, the commented file, the documentation and `postern explain`
// all read these declarations and nothing else.
#pragma once

#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "common/config/settings.h"

namespace postern::config {

// What may be written for a setting.
enum class Kind {
  kFlag,            // true, false
  kCount,           // a whole number
  kSize,            // octets, "50MiB"
  kDuration,        // "1h30m"
  kText,            // printable ASCII
  kHostname,        // a fully qualified host name
  kPath,            // a file; relative to root
  kMailbox,         // a user or user@domain, or nothing
  kChoice,          // one of a few words
  kChoices,         // a list of such
  kAddresses,       // a list of address:port
  kNetworks,        // a list of address/prefix
  kDomains,         // a list of domains
  kDomainPatterns,  // a list of domains, or ".domain" for what is below it
  kPaths,           // a list of directories
  kNames,           // a list of account names
  kNextHop,         // smtp://host:port and so on, or nothing
  kRoutes,          // a table: domain = next hop
};

// Whether a reload takes a new value, or only a start.
enum class Reload { kLive, kRestart };

// The member of Settings that holds a value.
template <class T>
struct Field {
  T& (*edit)(Settings&);
  const T& (*read)(const Settings&);
};
// An enumeration, its enumerators counting from 0 in the order of Setting::choices.
struct ChoiceField {
  void (*edit)(Settings&, int);
  int (*read)(const Settings&);
};
using AnyField =
    std::variant<Field<bool>, Field<int>, Field<uint16_t>, Field<uint32_t>, Field<uint64_t>,
                 Field<absl::Duration>, Field<std::string>, Field<std::vector<std::string>>,
                 Field<std::vector<SocketAddress>>, Field<std::vector<IpNetwork>>,
                 Field<std::optional<NextHop>>, Field<std::map<std::string, NextHop>>, ChoiceField>;

struct Setting {
  std::string_view key;  // dotted: "smtp.max_recipients"
  AnyField field;
  Kind kind;
  std::string_view unit = {};            // of a kCount: "connections"
  std::string_view fallback = {};        // the default as RenderToml takes it: without quotes
  std::string_view installed = {};       // the default where root is "/", if another
  std::string_view low = {}, high = {};  // both inclusive; of numbers, sizes and durations
  std::string_view zero = {};            // what 0 says, if it may be given beside the range
  std::span<const std::string_view> choices = {};
  bool may_be_empty = false;  // of texts and paths: "" says none
  Reload reload = Reload::kLive;
  std::string_view example = {};  // as `fallback`
  std::string_view help;          // one paragraph

  std::string_view section() const;  // "smtp"; "" at the top
  std::string_view name() const;     // "max_recipients"
};

struct Section {
  std::string_view name;  // "" for the top
  std::string_view help;
  std::span<const Setting> settings;
};

// In the order of the documentation. All of this lives as long as the process.
std::span<const Section> Sections();
const std::vector<const Setting*>& AllSettings();
const Setting* FindSetting(std::string_view key);
const Section* FindSection(std::string_view name);

// The default of `setting` in an installation (root is "/") or in an instance of its own.
std::string_view DefaultOf(const Setting& setting, bool is_installed);

namespace internal {

template <class Access>
constexpr auto MakeField(Access) {
  using T = std::remove_reference_t<decltype(Access{}(std::declval<Settings&>()))>;
  if constexpr (std::is_enum_v<T>) {
    return ChoiceField{[](Settings& s, int choice) { Access{}(s) = static_cast<T>(choice); },
                       [](const Settings& s) { return static_cast<int>(Access{}(s)); }};
  } else {
    return Field<T>{[](Settings& s) -> T& { return Access{}(s); },
                    [](const Settings& s) -> const T& { return Access{}(s); }};
  }
}

}  // namespace internal

// Key and member are one word, so they cannot differ.
#define POSTERN_SETTING(member) \
  .key = #member,               \
  .field = ::postern::config::internal::MakeField([](auto& s) -> auto& { return s.member; })

}  // namespace postern::config
