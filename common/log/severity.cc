#include "common/log/severity.h"

#include <array>

namespace postern::log {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"debug",   "info",  "notice",
                                                    "warning", "error", "critical"};
constexpr int kSyslogDebug = 7;

}  // namespace

std::string_view SeverityName(Severity severity) { return kNames[static_cast<size_t>(severity)]; }

std::optional<Severity> ParseSeverity(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Severity>(i);
  }
  return std::nullopt;
}

int SyslogSeverity(Severity severity) { return kSyslogDebug - static_cast<int>(severity); }

}  // namespace postern::log
