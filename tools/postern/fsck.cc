// `postern queue fsck`: what is wrong with a spool.
#include <cstdio>

#include "common/base/escape.h"
#include "daemons/qmgr/fsck.h"
#include "tools/postern/commands.h"
#include "tools/postern/text.h"

namespace postern::tool {
using nlohmann::json;

namespace {

void Print(const std::string& directory, const qmgr::SpoolReport& report) {
  for (const qmgr::Finding& finding : report.findings) {
    std::printf(
        "%s: %s: %s; %s\n", finding.weight == qmgr::Finding::Weight::kDamage ? "damage" : "note",
        Escaped(finding.where).c_str(), Escaped(finding.what).c_str(), finding.consequence.c_str());
  }
  std::printf("%s: %s: %llu messages, %llu records in %llu segments, %llu content files\n",
              directory.c_str(), report.damaged() ? "damaged" : "sound",
              static_cast<unsigned long long>(report.messages),
              static_cast<unsigned long long>(report.records),
              static_cast<unsigned long long>(report.segments),
              static_cast<unsigned long long>(report.contents));
}

json ToJson(const std::string& directory, const qmgr::SpoolReport& report) {
  json findings = json::array();
  for (const qmgr::Finding& finding : report.findings) {
    findings.push_back({{"damage", finding.weight == qmgr::Finding::Weight::kDamage},
                        {"where", JsonText(finding.where)},
                        {"what", JsonText(finding.what)},
                        {"consequence", finding.consequence}});
  }
  return {{"spool", JsonText(directory)}, {"damaged", report.damaged()},
          {"messages", report.messages},  {"records", report.records},
          {"segments", report.segments},  {"contents", report.contents},
          {"findings", findings}};
}

}  // namespace

int QueueFsck(const Common& common, std::vector<std::string> directories) {
  if (directories.empty()) {
    const absl::StatusOr<config::Settings> settings = ReadSettings(common);
    if (!settings.ok()) return Complain(settings.status());
    directories = settings->queue.directories;
  }
  bool damaged = false;
  json all = json::array();
  for (const std::string& directory : directories) {
    const absl::StatusOr<qmgr::SpoolReport> report = qmgr::CheckSpool(directory);
    if (!report.ok()) return Complain(report.status());
    damaged |= report->damaged();
    if (common.as_json) {
      all.push_back(ToJson(directory, *report));
    } else {
      Print(directory, *report);
    }
  }
  if (common.as_json) std::fputs(Dump(all).c_str(), stdout);
  return damaged ? kFailed : kDone;
}

}  // namespace postern::tool
