// common/config/settings_tables.h — the declarations, one table a section of postern.toml.
#pragma once

#include <span>

#include "common/config/setting.h"

namespace postern::config {

std::span<const Setting> TopSettings();       // settings_general.cc
std::span<const Setting> SmtpSettings();      // settings_smtp.cc
std::span<const Setting> RelaySettings();     // settings_smtp.cc
std::span<const Setting> OutboundSettings();  // settings_outbound.cc
std::span<const Setting> QueueSettings();     // settings_queue.cc
std::span<const Setting> LocalSettings();     // settings_queue.cc
std::span<const Setting> DnsSettings();       // settings_general.cc
std::span<const Setting> LogSettings();       // settings_general.cc
std::span<const Setting> MasterSettings();    // settings_general.cc

}  // namespace postern::config
