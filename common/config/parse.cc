#include "common/config/parse.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/escape.h"
#include "common/config/check.h"
#include "common/config/convert.h"
#include "common/config/path.h"
#include "common/config/suggest.h"
#include "common/config/toml_reader.h"

namespace postern::config {
namespace {

// One reading of one text: what is given, then the root, then defaults, then what concerns several.
class Parser {
 public:
  Parser(std::string_view file_name, std::string_view base_directory)
      : file_name_(file_name), base_directory_(base_directory) {}

  Outcome Run(std::string_view text) {
    if (text.size() > kMaxTextOctets) {
      report_.Complain({1, 1}, "the file is larger than 4 MiB; this is no configuration");
    } else if (const Syntax syntax = ReadToml(text); syntax.ok) {
      StoreGiven(syntax.document);
      ResolveRoot();
      StoreDefaults();
      MakePathsAbsolute();
      CheckTogether(settings_, report_);
    } else {
      report_.Complain(std::max(syntax.at, Position{1, 1}),
                       "this is not TOML: " + Escaped(syntax.reason));
    }
    Outcome outcome;
    outcome.problems = report_.Problems(file_name_);
    if (report_.empty()) outcome.settings = std::move(settings_);
    return outcome;
  }

 private:
  void StoreGiven(const Value& document) {
    for (const Member& member : document.members) {
      if (const Setting* setting = FindSetting(member.key); setting && setting->section().empty()) {
        StoreOne(*setting, member.value);
      } else if (const Section* section = FindSection(member.key); section && !member.key.empty()) {
        StoreSection(*section, member);
      } else {
        UnknownAtTop(member);
      }
    }
  }

  void StoreSection(const Section& section, const Member& given) {
    const std::string name(section.name);
    if (given.value.type != Value::Type::kTable) {
      report_.Complain(given.at, name + " is a section: write [" + name +
                                     "] on a line of its own, once, and its keys below");
      return;
    }
    for (const Member& member : given.value.members) {
      const std::string key = name + "." + member.key;
      if (const Setting* setting = FindSetting(key)) {
        StoreOne(*setting, member.value);
      } else {
        Unknown(member.at, key);
      }
    }
  }

  void StoreOne(const Setting& setting, const Value& value) {
    report_.Remember(setting.key, value.at);
    Store(setting, value, settings_, report_);
  }

  void UnknownAtTop(const Member& member) {
    const std::string_view section = NearestSection(member.key);
    if (member.value.type != Value::Type::kTable) return Unknown(member.at, member.key);
    std::string message = "there is no section [" + Escaped(member.key, 80) + "]";
    if (!section.empty()) message.append("; did you mean [").append(section).append("]?");
    report_.Complain(member.at, message);
  }

  void Unknown(Position at, std::string_view key) {
    std::string message = "there is no setting " + Escaped(key, 80);
    const std::string_view nearest = NearestSetting(key);
    if (nearest.empty()) {
      message += "; docs/configuration.md has them all";
    } else if (nearest.find('.') == nearest.npos && key.find('.') != key.npos) {
      message.append("; ").append(nearest).append(" stands at the top, before the first [section]");
    } else {
      message.append("; did you mean ").append(nearest).append("?");
    }
    report_.Complain(at, message);
  }

  void ResolveRoot() {
    if (settings_.root.empty()) settings_.root = DefaultOf(*FindSetting("root"), true);
    if (settings_.root.starts_with('/')) return;
    const std::string_view base =
        base_directory_.empty() ? DirectoryOf(file_name_) : base_directory_;
    const Parsed<std::string> clean = CleanPath(base);
    if (clean && clean->starts_with('/')) {
      settings_.root = Below(*clean, settings_.root);
      return;
    }
    report_.Complain(report_.PlaceOf("root"),
                     "root is a relative path, and the directory of this file is not known here; "
                     "write a path that starts with /");
    settings_.root = "/";
  }

  void StoreDefaults() {
    const bool is_installed = settings_.root == "/";
    for (const Setting* setting : AllSettings()) {
      if (report_.IsGiven(setting->key)) continue;
      const std::string_view text = DefaultOf(*setting, is_installed);
      if (text.empty() || setting->key == "root") continue;
      Report report;
      Store(*setting, FromText(*setting, text), settings_, report);
      CHECK(report.empty());
    }
    if (!report_.IsGiven("local.mailbox") && settings_.local.format == MailboxFormat::kMbox)
      settings_.local.mailbox = is_installed ? "/var/mail/{user}" : "mail/{user}.mbox";
    if (!report_.IsGiven("queue.bounce_lifetime"))
      settings_.queue.bounce_lifetime =
          std::min(settings_.queue.bounce_lifetime, settings_.queue.lifetime);
  }

  void MakePathsAbsolute() {
    for (const Setting* setting : AllSettings()) {
      if (setting->kind == Kind::kPath) {
        std::string& path = std::get<Field<std::string>>(setting->field).edit(settings_);
        if (!path.empty() && !path.starts_with("{home}")) path = Below(settings_.root, path);
      } else if (setting->kind == Kind::kPaths) {
        for (std::string& path :
             std::get<Field<std::vector<std::string>>>(setting->field).edit(settings_))
          path = Below(settings_.root, path);
      }
    }
  }

  std::string_view file_name_;
  std::string_view base_directory_;
  Settings settings_;
  Report report_;
};

}  // namespace

Outcome Parse(std::string_view text, std::string_view file_name, std::string_view base_directory) {
  return Parser(file_name, base_directory).Run(text);
}

}  // namespace postern::config
