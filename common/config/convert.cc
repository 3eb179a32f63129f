#include "common/config/convert.h"

#include <algorithm>
#include <charconv>

#include "common/config/units.h"

namespace postern::config {
namespace {

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> SplitAtCommas(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    if (const auto part = Trimmed(text.substr(0, comma)); !part.empty()) parts.push_back(part);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

Value IntegerFrom(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return Value::Text(text);
  return Value::Integer(number);
}

Value FlagFrom(std::string_view text) {
  if (text == "true" || text == "yes" || text == "on") return Value::Flag(true);
  if (text == "false" || text == "no" || text == "off") return Value::Flag(false);
  return Value::Text(text);
}

Value ListFrom(std::string_view text) {
  Value list = Value::List({});
  for (const std::string_view part : SplitAtCommas(text)) list.items.push_back(Value::Text(part));
  return list;
}

Value RoutesFrom(std::string_view text) {
  Value table = Value::Table({});
  for (const std::string_view part : SplitAtCommas(text)) {
    const size_t equals = part.find('=');
    if (equals == part.npos) return Value::Text(text);
    table.members.push_back(Member{std::string(Trimmed(part.substr(0, equals))),
                                   {},
                                   Value::Text(Trimmed(part.substr(equals + 1)))});
  }
  return table;
}

// Turns the content of any field into a Value; sizes and choices need the declaration.
struct Loader {
  const Setting& setting;
  const Settings& settings;

  Value operator()(const Field<bool>& field) const { return Value::Flag(field.read(settings)); }
  template <std::integral T>
  Value operator()(const Field<T>& field) const {
    const auto number = static_cast<uint64_t>(field.read(settings));
    if (setting.kind == Kind::kSize) return Value::Text(SizeText(number));
    return Value::Integer(static_cast<int64_t>(number));
  }
  Value operator()(const Field<absl::Duration>& field) const {
    return Value::Text(DurationText(field.read(settings)));
  }
  Value operator()(const Field<std::string>& field) const {
    return Value::Text(field.read(settings));
  }
  Value operator()(const Field<std::vector<std::string>>& field) const {
    Value list = Value::List({});
    for (const std::string& item : field.read(settings)) list.items.push_back(Value::Text(item));
    return list;
  }
  template <class T>
  Value operator()(const Field<std::vector<T>>& field) const {
    Value list = Value::List({});
    for (const T& item : field.read(settings)) list.items.push_back(Value::Text(item.ToString()));
    return list;
  }
  Value operator()(const Field<std::optional<NextHop>>& field) const {
    const auto& hop = field.read(settings);
    return Value::Text(hop ? hop->ToString() : "");
  }
  Value operator()(const Field<std::map<std::string, NextHop>>& field) const {
    Value table = Value::Table({});
    for (const auto& [domain, hop] : field.read(settings))
      table.members.push_back(Member{domain, {}, Value::Text(hop.ToString())});
    return table;
  }
  Value operator()(const ChoiceField& field) const {
    return Value::Text(setting.choices[static_cast<size_t>(field.read(settings))]);
  }
};

}  // namespace

Value Load(const Setting& setting, const Settings& settings) {
  return std::visit(Loader{setting, settings}, setting.field);
}

bool IsSame(const Setting& setting, const Settings& a, const Settings& b) {
  return std::visit([&](const auto& field) { return field.read(a) == field.read(b); },
                    setting.field);
}

Value FromText(const Setting& setting, std::string_view text) {
  switch (setting.kind) {
    case Kind::kFlag:
      return FlagFrom(text);
    case Kind::kCount:
      return IntegerFrom(text);
    case Kind::kAddresses:
    case Kind::kNetworks:
    case Kind::kDomains:
    case Kind::kDomainPatterns:
    case Kind::kPaths:
    case Kind::kNames:
    case Kind::kChoices:
      return ListFrom(text);
    case Kind::kRoutes:
      return RoutesFrom(text);
    default:
      return Value::Text(text);
  }
}

std::string RangeOf(const Setting& setting) {
  if (setting.low.empty()) return "";
  std::string range = std::string(setting.low) + " to " + std::string(setting.high);
  if (!setting.unit.empty()) range.append(" ").append(setting.unit);
  if (!setting.zero.empty()) range.append(", or 0: ").append(setting.zero);
  return range;
}

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kFlag:
      return "true or false";
    case Kind::kCount:
      return "a whole number";
    case Kind::kSize:
      return "a size (octets, or a text with B, KiB, MiB, GiB, TiB)";
    case Kind::kDuration:
      return "a duration (a text with d, h, m, s, ms)";
    case Kind::kText:
      return "a text";
    case Kind::kHostname:
      return "a host name";
    case Kind::kPath:
      return "a path";
    case Kind::kMailbox:
      return "a mail address or an account";
    case Kind::kChoice:
      return "one of a few words";
    case Kind::kChoices:
      return "a list of words";
    case Kind::kAddresses:
      return "a list of address:port";
    case Kind::kNetworks:
      return "a list of address/prefix";
    case Kind::kDomains:
    case Kind::kDomainPatterns:
      return "a list of domains";
    case Kind::kPaths:
      return "a list of paths";
    case Kind::kNames:
      return "a list of accounts";
    case Kind::kNextHop:
      return "a next hop";
    case Kind::kRoutes:
      return "a table of domain = next hop";
  }
  return "";
}

std::string Line(const Setting& setting, std::string_view unquoted) {
  return std::string(setting.name()) + " = " + FromText(setting, unquoted).ToToml();
}

}  // namespace postern::config
