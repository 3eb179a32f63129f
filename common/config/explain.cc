#include "common/config/explain.h"

#include "common/config/convert.h"
#include "common/config/setting.h"
#include "common/config/wrap.h"

namespace postern::config {
namespace {

std::string WordsOf(const Setting& setting) {
  std::string words;
  for (const std::string_view choice : setting.choices)
    words.append(words.empty() ? "" : ", ").append(choice);
  return words;
}

std::string Defaults(const Setting& setting) {
  if (setting.key == "hostname") return "none: it must be given";
  std::string text = FromText(setting, setting.fallback).ToToml();
  if (!setting.installed.empty())
    text = FromText(setting, setting.installed).ToToml() + " with root /, otherwise " + text;
  return text;
}

// "a size ..., 64KiB to 2GiB" or "one of auto, uring, epoll".
std::string Takes(const Setting& setting) {
  if (setting.kind == Kind::kChoices) return "a list, of " + WordsOf(setting);
  if (!setting.choices.empty()) return "one of " + WordsOf(setting);
  std::string takes(KindName(setting.kind));
  if (const std::string range = RangeOf(setting); !range.empty()) takes += ", " + range;
  return takes;
}

std::string_view OnReload(const Setting& setting) {
  return setting.reload == Reload::kRestart ? "needs a restart" : "taken by a reload";
}

std::string ExplainSetting(const Setting& setting, const Settings* current) {
  std::string text = std::string(setting.key) + "\n";
  const auto row = [&](std::string_view title, std::string_view words) {
    text += Wrapped(std::string(title) + std::string(10 - title.size(), ' ') + std::string(words),
                    "  ", "            ", 78);
  };
  row("takes", Takes(setting));
  row("default", Defaults(setting));
  row("change", OnReload(setting));
  row("example", Line(setting, setting.example));
  if (current) row("now", Load(setting, *current).ToToml());
  return text + "\n" + Wrapped(setting.help, "  ", "  ", 78);
}

std::string ListKeys(const Section& section) {
  std::string text;
  for (const Setting& setting : section.settings) text.append(setting.key).append("\n");
  return text;
}

void AppendToFile(const Setting& setting, bool is_to_fill_in, std::string& file) {
  file += '\n' + Wrapped(setting.help, "# ", "# ", 90);
  file += Wrapped("Takes " + Takes(setting) + "; " + std::string(OnReload(setting)) + ".", "# ",
                  "# ", 90);
  if (is_to_fill_in) {
    file += "#" + Line(setting, setting.example) + "\n";
    return;
  }
  if (!setting.installed.empty())
    file += Wrapped("In an instance of its own (root is not /): " +
                        FromText(setting, setting.fallback).ToToml(),
                    "# ", "# ", 90);
  if (setting.fallback.empty()) file += "# Example: " + Line(setting, setting.example) + "\n";
  file += "#" + Line(setting, DefaultOf(setting, true)) + "\n";
}

}  // namespace

std::optional<std::string> Explain(std::string_view key, const Settings* current) {
  if (const Setting* setting = FindSetting(key)) return ExplainSetting(*setting, current);
  if (key.empty()) {
    std::string all;
    for (const Section& section : Sections()) all += ListKeys(section);
    return all;
  }
  const Section* section = FindSection(key);
  if (!section) return std::nullopt;
  return Wrapped(section->help, "", "", 78) + "\n" + ListKeys(*section);
}

std::string DefaultFile() {
  std::string file =
      "# The configuration of Postern. Generated from the declarations in common/config.\n"
      "#\n"
      "# Fill in the first two settings; every other line shows the default of its setting and\n"
      "# counts once its # is taken away. Relative paths lie under root. `postern check FILE`\n"
      "# says what is wrong with a file, `postern explain KEY` what a setting means.\n";
  for (const Section& section : Sections()) {
    if (!section.name.empty())
      file.append("\n\n[").append(section.name).append("]\n") +=
          Wrapped(section.help, "# ", "# ", 90);
    for (const Setting& setting : section.settings)
      AppendToFile(setting, setting.key == "hostname" || setting.key == "domains", file);
  }
  return file;
}

std::string DocumentationPage() {
  std::string page =
      "# Configuration\n\n"
      "<!-- Generated from the declarations in common/config; do not edit. -->\n\n"
      "One TOML file configures all processes. Only `hostname` must be given, and the local\n"
      "`domains` where mail is delivered; everything else has a default that is safe: nobody may\n"
      "relay, and every limit is on. `postern check FILE` reports all problems of a file at once,\n"
      "with line and column; `postern explain KEY` prints what is below for one setting.\n\n"
      "Sizes are numbers of octets or texts such as `\"64KiB\"`, `\"50MiB\"`, `\"1GiB\"`; "
      "durations\n"
      "are texts such as `\"90s\"`, `\"1h30m\"`, `\"5d\"`. A relative path lies under `root`.\n\n"
      "A reload (SIGHUP, `postern reload`) takes new values of everything but the settings marked\n"
      "as needing a restart; a file with a problem changes nothing.\n";
  for (const Section& section : Sections()) {
    page += section.name.empty() ? "\n## The top of the file\n\n"
                                 : "\n## [" + std::string(section.name) + "]\n\n";
    page += Wrapped(section.help, "", "", 100);
    for (const Setting& setting : section.settings) {
      page.append("\n### `").append(setting.key).append("`\n\n");
      page += Wrapped(setting.help, "", "", 100) + "\n";
      page += "- takes: " + Takes(setting) + "\n";
      page +=
          "- default: " +
          (setting.key == "hostname"   ? "none, it must be given"
           : setting.installed.empty() ? "`" + FromText(setting, setting.fallback).ToToml() + "`"
                                       : "`" + FromText(setting, setting.installed).ToToml() +
                                             "` with root `/`, otherwise `" +
                                             FromText(setting, setting.fallback).ToToml() + "`") +
          "\n";
      page += "- change: " + std::string(OnReload(setting)) + "\n";
      page += "- example: `" + Line(setting, setting.example) + "`\n";
    }
  }
  return page;
}

}  // namespace postern::config
