// tools/postern/commands.h — what `postern` can do; each returns the exit status (server.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/ipc/protocol/admin.h"
#include "tools/postern/server.h"

namespace postern::tool {

// Every problem as file:line:column: message.
int Check(const Common& common, const std::string& file);
int Explain(const Common& common, const std::string& key);

int Ps(const Common& common);
// Checks the configuration first: a wrong one changes nothing.
int Reload(const Common& common);
int Stop(const Common& common);

struct SelftestOptions {
  std::vector<std::string> roles;
  std::vector<std::string> without;
  std::string backend;
  bool ablation = false;
  bool acts = false;
  bool kill = false;
};
// Becomes confine-probe, whose statuses are those of server.h too; returns only if that fails.
int SelftestConfinement(const Common& common, const SelftestOptions& options);

int Why(const Common& common, const std::string& id);

struct ListOptions {
  std::string state;  // "active", "deferred", "held"; empty: any
  std::string sender;
  std::string recipient;
  uint32_t limit = 1000;
};
int QueueList(const Common& common, const ListOptions& options);
int QueueShow(const Common& common, const std::string& id, bool content);

struct ActOptions {
  std::vector<std::string> ids;
  bool all = false;
  std::string destination;
  std::string reason;
};
int QueueAct(const Common& common, protocol::admin::Verb verb, const ActOptions& options);
int QueueDestinations(const Common& common);
// `directories` empty: those of the configuration. kFailed: damage was found.
int QueueFsck(const Common& common, std::vector<std::string> directories);

}  // namespace postern::tool
