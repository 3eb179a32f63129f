#include <algorithm>
#include <limits>

#include "common/base/check.h"
#include "common/base/escape.h"
#include "common/config/convert.h"
#include "common/config/domain.h"
#include "common/config/next_hop.h"
#include "common/config/path.h"
#include "common/config/units.h"

namespace postern::config {
namespace {

// RFC 5322 §3.2.3, and what RFC 6531 adds.
bool IsAtomText(char c) {
  return static_cast<unsigned char>(c) >= 0x80 || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-/=?^_`{|}~.").find(c) != std::string_view::npos;
}

Parsed<std::string> ParseMailbox(std::string_view text) {
  const size_t at = text.rfind('@');
  const std::string_view local = text.substr(0, at);
  if (local.empty()) return Malformed("nothing stands in front of the @");
  if (local.size() > 64) return Malformed("the part before the @ is longer than 64 octets");
  if (local.front() == '.' || local.back() == '.' || local.find("..") != local.npos)
    return Malformed("a dot stands between other characters");
  if (!IsValidUtf8(local) || !std::all_of(local.begin(), local.end(), IsAtomText))
    return Malformed("a character is not allowed in a mail address");
  if (at == text.npos) return std::string(text);
  Parsed<std::string> domain = NormaliseDomain(text.substr(at + 1));
  if (!domain) return domain;
  return std::string(local) + "@" + *domain;
}

Parsed<std::string> ParseAccount(std::string_view text) {
  if (text == "*") return std::string(text);
  if (text.empty() || text.size() > 32) return Malformed("an account has 1 to 32 characters");
  if (text[0] == '.' || text[0] == '-') return Malformed("an account starts with a letter");
  for (size_t i = 0; i < text.size(); ++i)
    if (const char c = text[i]; !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                  (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
      return Malformed("an account has letters, digits, dots, hyphens and underscores", i);
  return std::string(text);
}

Parsed<std::string> ParsePattern(std::string_view text) {
  if (!text.starts_with('.')) return NormaliseDomain(text);
  Parsed<std::string> domain = NormaliseDomain(text.substr(1));
  if (!domain) return domain;
  return "." + *domain;
}

Parsed<std::string> ParsePlainText(std::string_view text) {
  if (text.size() > 200) return Malformed("the text is longer than 200 characters");
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] < 0x20 || text[i] > 0x7e) return Malformed("a character is not printable ASCII", i);
  return std::string(text);
}

Parsed<SocketAddress> ParseAddress(std::string_view text) {
  Parsed<SocketAddress> address = SocketAddress::Parse(text);
  if (address && address->port == 0) return Malformed("the port is 0; ports are 1 to 65535");
  return address;
}

std::string NormalText(const std::string& text) { return text; }
template <class T>
std::string NormalText(const T& item) {
  return item.ToString();
}

// Writes a number that was checked against the declared range; only fields of numbers get here.
struct NumberEditor {
  Settings& settings;
  int64_t number;

  template <class F>
  void operator()(const F&) const {
    CHECK(!"a number is declared for a field that holds none");
  }
  template <std::integral T>
  void operator()(const Field<T>& field) const {
    field.edit(settings) = static_cast<T>(number);
  }
};

class Storer {
 public:
  Storer(const Setting& setting, const Value& value, Settings& settings, Report& report)
      : setting_(setting), value_(value), settings_(settings), report_(report) {}

  void Run() {
    switch (setting_.kind) {
      case Kind::kFlag:
        if (Has(Value::Type::kFlag)) Edit<bool>() = value_.flag;
        return;
      case Kind::kCount:
        if (Has(Value::Type::kInteger))
          Number(value_.integer, Limit(setting_.low), Limit(setting_.high));
        return;
      case Kind::kSize:
        return Size();
      case Kind::kDuration:
        return Duration();
      case Kind::kText:
        return Text(ParsePlainText);
      case Kind::kHostname:
        return Text(NormaliseHostname);
      case Kind::kPath:
        return Text(CleanPath);
      case Kind::kMailbox:
        return OptionalText(ParseMailbox);
      case Kind::kChoice:
        return Choice();
      case Kind::kChoices:
        return List<std::string>([this](std::string_view text) { return ParseChoice(text); });
      case Kind::kAddresses:
        return List<SocketAddress>(ParseAddress);
      case Kind::kNetworks:
        return List<IpNetwork>(IpNetwork::Parse);
      case Kind::kDomains:
        return List<std::string>(NormaliseDomain);
      case Kind::kDomainPatterns:
        return List<std::string>(ParsePattern);
      case Kind::kPaths:
        return List<std::string>(CleanPath);
      case Kind::kNames:
        return List<std::string>(ParseAccount);
      case Kind::kNextHop:
        return Hop();
      case Kind::kRoutes:
        return Routes();
    }
  }

 private:
  template <class T>
  T& Edit() {
    return std::get<Field<T>>(setting_.field).edit(settings_);
  }

  std::string Key() const { return std::string(setting_.key); }
  std::string AsIn() const { return ", as in " + Line(setting_, setting_.example); }

  bool Has(Value::Type type) {
    if (value_.type == type) return true;
    WrongType();
    return false;
  }
  void WrongType() {
    report_.Complain(value_.at, Key() + " must be " + std::string(KindName(setting_.kind)) +
                                    AsIn() + "; here it is " + std::string(value_.TypeName()));
  }
  void Bad(const Value& value, std::string_view reason) {
    report_.Complain(value.at, Key() + ": \"" + Escaped(value.text, 80) + "\" cannot be used: " +
                                   std::string(reason) + "; write it" + AsIn());
  }

  // Bounds of declarations are known to be good.
  int64_t Limit(std::string_view text) const {
    const Value value = FromText(setting_, text);
    CHECK(value.type == Value::Type::kInteger);
    return value.integer;
  }

  void Number(int64_t number, int64_t low, int64_t high) {
    const bool is_zero = number == 0 && !setting_.zero.empty();
    if ((number < low || number > high) && !is_zero) {
      const std::string given = value_.type == Value::Type::kText
                                    ? "\"" + Escaped(value_.text, 80) + "\""
                                    : std::to_string(number);
      report_.Complain(value_.at, Key() + " is " + given + "; it must be " + RangeOf(setting_));
      return;
    }
    std::visit(NumberEditor{settings_, number}, setting_.field);
  }

  void Size() {
    int64_t octets = value_.integer;
    if (value_.type == Value::Type::kText) {
      const Parsed<uint64_t> parsed = ParseSize(value_.text);
      if (!parsed) return Bad(value_, parsed.error().reason);
      octets =
          static_cast<int64_t>(std::min<uint64_t>(*parsed, std::numeric_limits<int64_t>::max()));
    } else if (value_.type != Value::Type::kInteger) {
      return WrongType();
    }
    Number(octets, static_cast<int64_t>(*ParseSize(setting_.low)),
           static_cast<int64_t>(*ParseSize(setting_.high)));
  }

  void Duration() {
    if (value_.type == Value::Type::kInteger) {
      report_.Complain(value_.at, Key() + " needs a unit, d, h, m, s or ms" + AsIn());
      return;
    }
    if (!Has(Value::Type::kText)) return;
    const Parsed<absl::Duration> parsed = ParseDuration(value_.text);
    if (!parsed) return Bad(value_, parsed.error().reason);
    const bool is_zero = *parsed == absl::ZeroDuration() && !setting_.zero.empty();
    if ((*parsed < *ParseDuration(setting_.low) || *parsed > *ParseDuration(setting_.high)) &&
        !is_zero) {
      report_.Complain(value_.at, Key() + " is \"" + Escaped(value_.text, 80) + "\"; it must be " +
                                      RangeOf(setting_));
      return;
    }
    Edit<absl::Duration>() = *parsed;
  }

  void Text(Parsed<std::string> (*parse)(std::string_view)) {
    if (setting_.may_be_empty) return OptionalText(parse);
    if (value_.type == Value::Type::kText && value_.text.empty()) {
      report_.Complain(value_.at, Key() + " is empty; write it" + AsIn());
      return;
    }
    OptionalText(parse);
  }

  void OptionalText(Parsed<std::string> (*parse)(std::string_view)) {
    if (!Has(Value::Type::kText)) return;
    if (value_.text.empty()) {
      Edit<std::string>().clear();
      return;
    }
    Parsed<std::string> parsed = parse(value_.text);
    if (!parsed) return Bad(value_, parsed.error().reason);
    Edit<std::string>() = *std::move(parsed);
  }

  std::string QuotedChoices() const {
    std::string words;
    for (const std::string_view choice : setting_.choices)
      words.append(words.empty() ? "\"" : ", \"").append(choice).append("\"");
    return words;
  }

  Parsed<std::string> ParseChoice(std::string_view text) const {
    if (std::ranges::find(setting_.choices, text) != setting_.choices.end())
      return std::string(text);
    return Malformed("it must be one of " + QuotedChoices());
  }

  void Choice() {
    if (!Has(Value::Type::kText)) return;
    const auto found = std::find(setting_.choices.begin(), setting_.choices.end(), value_.text);
    if (found == setting_.choices.end()) {
      report_.Complain(value_.at, Key() + " is \"" + Escaped(value_.text, 80) +
                                      "\"; it must be one of " + QuotedChoices());
      return;
    }
    std::get<ChoiceField>(setting_.field)
        .edit(settings_, static_cast<int>(found - setting_.choices.begin()));
  }

  template <class T, class Parse>
  void List(Parse parse) {
    if (!Has(Value::Type::kList)) return;
    std::vector<T> items;
    for (const Value& item : value_.items) {
      if (item.type != Value::Type::kText) {
        report_.Complain(item.at, Key() + " is a list of texts" + AsIn() + "; here is " +
                                      std::string(item.TypeName()));
        continue;
      }
      Parsed<T> parsed = parse(item.text);
      if (!parsed) {
        Bad(item, parsed.error().reason);
      } else if (std::find(items.begin(), items.end(), *parsed) != items.end()) {
        report_.Complain(item.at, Key() + " has \"" + Escaped(NormalText(*parsed), 300) +
                                      "\" twice; remove one");
      } else {
        report_.Remember(setting_.key, NormalText(*parsed), item.at);
        items.push_back(*std::move(parsed));
      }
    }
    Edit<std::vector<T>>() = std::move(items);
  }

  void Hop() {
    if (!Has(Value::Type::kText)) return;
    if (value_.text.empty()) {
      Edit<std::optional<NextHop>>().reset();
      return;
    }
    Parsed<NextHop> hop = ParseNextHop(value_.text);
    if (!hop) return Bad(value_, hop.error().reason);
    Edit<std::optional<NextHop>>() = *std::move(hop);
  }

  void Routes() {
    if (!Has(Value::Type::kTable)) return;
    std::map<std::string, NextHop> routes;
    for (const Member& member : value_.members) Route(member, routes);
    Edit<std::map<std::string, NextHop>>() = std::move(routes);
  }

  void Route(const Member& member, std::map<std::string, NextHop>& routes) {
    const std::string shown = "\"" + Escaped(member.key, 80) + "\"";
    const Parsed<std::string> domain = ParsePattern(member.key);
    if (!domain) {
      std::string reason = Key() + ": " + shown + " is no domain: " + domain.error().reason;
      if (member.value.type == Value::Type::kTable)
        reason += "; a domain with dots is written in quotes";
      report_.Complain(member.at, std::move(reason));
      return;
    }
    if (member.value.type != Value::Type::kText) {
      const bool is_table = member.value.type == Value::Type::kTable;
      report_.Complain(member.at, is_table ? Key() + ": put the domain that starts with " + shown +
                                                 " in quotes, as in \"example.org\" = \"host:25\""
                                           : Key() + ": the next hop of " + shown +
                                                 " must be a text" + AsIn() + "; here it is " +
                                                 std::string(member.value.TypeName()));
      return;
    }
    Parsed<NextHop> hop = ParseNextHop(member.value.text);
    if (!hop) return Bad(member.value, hop.error().reason);
    report_.Remember(setting_.key, *domain, member.at);
    if (!routes.emplace(*domain, *std::move(hop)).second)
      report_.Complain(member.at, Key() + " has \"" + *domain + "\" twice; remove one");
  }

  const Setting& setting_;
  const Value& value_;
  Settings& settings_;
  Report& report_;
};

}  // namespace

void Store(const Setting& setting, const Value& value, Settings& settings, Report& report) {
  Storer(setting, value, settings, report).Run();
}

}  // namespace postern::config
