#include <csignal>
#include <cstdio>

#include "tools/postern/commands.h"
#include "tools/postern/text.h"

namespace postern::tool {
namespace {

namespace admin = protocol::admin;

absl::StatusOr<std::vector<admin::Process>> ListProcesses(const Common& common) {
  ASSIGN_OR_RETURN(AdminClient master, AskMaster(common));
  ASSIGN_OR_RETURN(admin::ProcessesListed listed,
                   master.Ask<admin::ProcessesListed>(admin::Processes{}));
  return std::move(listed.processes);
}

// Master is the first it lists. JSON says who was told; for people no news is good news.
int TellMaster(const Common& common, int signal, std::string_view what) {
  const auto processes = ListProcesses(common);
  if (!processes.ok()) return Complain(processes.status());
  if (processes->empty() || processes->front().pid <= 1)
    return Complain(DataLoss("master did not say who it is"));
  const auto pid = static_cast<pid_t>(processes->front().pid);
  if (::kill(pid, signal) < 0) return Complain(ErrnoStatus(errno, "tell master"));
  if (common.as_json) std::fputs(Dump({{"told", what}, {"pid", pid}}).c_str(), stdout);
  return kDone;
}

}  // namespace

int Ps(const Common& common) {
  const auto processes = ListProcesses(common);
  if (!processes.ok()) return Complain(processes.status());
  nlohmann::json all = nlohmann::json::array();
  std::string text = ProcessHeading();
  for (const admin::Process& one : *processes) {
    all.push_back(ToJson(one));
    text += ToText(one);
  }
  std::fputs(common.as_json ? Dump(all).c_str() : text.c_str(), stdout);
  return kDone;
}

int Reload(const Common& common) {
  // A wrong one also hides where the server is; and here each problem is a line.
  if (!ReadSettings(common).ok()) return Check(common, common.config);
  absl::StatusOr<AdminClient> master = AskMaster(common);
  if (!master.ok()) return Complain(master.status());
  const absl::StatusOr<admin::Reloaded> reloaded = master->Ask<admin::Reloaded>(admin::Reload{});
  if (!reloaded.ok()) return Complain(reloaded.status());
  if (common.as_json) {
    std::fputs(Dump(ToJson(*reloaded)).c_str(), stdout);
  } else {
    std::fputs(ToText(*reloaded).c_str(), reloaded->error.empty() ? stdout : stderr);
  }
  return reloaded->error.empty() && reloaded->failures.empty() ? kDone : kFailed;
}

int Stop(const Common& common) { return TellMaster(common, SIGTERM, "stop"); }

}  // namespace postern::tool
