#include <algorithm>

#include "common/config/setting.h"
#include "common/config/settings_tables.h"

namespace postern::config {

std::string_view Setting::section() const {
  const size_t dot = key.find('.');
  return dot == key.npos ? std::string_view() : key.substr(0, dot);
}

std::string_view Setting::name() const { return key.substr(key.find('.') + 1); }

std::span<const Section> Sections() {
  static const Section kSections[] = {
      {"", "Who this server is, and where it keeps its files.", TopSettings()},
      {"smtp", "The server: what it listens on, and the limits of a session.", SmtpSettings()},
      {"relay", "Who may send mail through this server, beyond its own domains.", RelaySettings()},
      {"outbound", "Sending mail to other servers.", OutboundSettings()},
      {"queue", "Where mail is kept until it is delivered, and for how long it is tried.",
       QueueSettings()},
      {"local", "Delivery into mailboxes on this machine.", LocalSettings()},
      {"dns", "How names are looked up.", DnsSettings()},
      {"log", "Where events go.", LogSettings()},
      {"master", "How the processes are started and stopped.", MasterSettings()},
  };
  return kSections;
}

const std::vector<const Setting*>& AllSettings() {
  // Never destroyed: asked until the process ends.
  static const auto& all = *[] {
    auto* pointers = new std::vector<const Setting*>;
    for (const Section& section : Sections())
      for (const Setting& setting : section.settings) pointers->push_back(&setting);
    return pointers;
  }();
  return all;
}

const Setting* FindSetting(std::string_view key) {
  for (const Setting* setting : AllSettings())
    if (setting->key == key) return setting;
  return nullptr;
}

const Section* FindSection(std::string_view name) {
  for (const Section& section : Sections())
    if (section.name == name) return &section;
  return nullptr;
}

std::string_view DefaultOf(const Setting& setting, bool is_installed) {
  return is_installed && !setting.installed.empty() ? setting.installed : setting.fallback;
}

}  // namespace postern::config
