// common/log/severity.h — how much a line matters, in the steps of syslog (RFC 5424 §6.2.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace postern::log {

enum class Severity : uint8_t {
  kDebug,     // for whoever works on the code; off by default
  kInfo,      // what happens all day: a message queued, a connection closed
  kNotice,    // normal but worth finding: start, stop, reload
  kWarning,   // something failed and will be tried again, or was refused as an incident
  kError,     // something failed and a person should look
  kCritical,  // a daemon cannot go on
};

// "debug", "info", "notice", "warning", "error", "critical".
std::string_view SeverityName(Severity severity);
std::optional<Severity> ParseSeverity(std::string_view name);

// The numerical code of RFC 5424: 7 for debug, down to 2 for critical.
int SyslogSeverity(Severity severity);

}  // namespace postern::log
