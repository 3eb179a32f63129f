// What master does before anything runs: it reads, plans and binds.
#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/config/parse.h"
#include "common/log/log.h"
#include "daemons/master/master.h"

namespace postern::master {

using protocol::control::EdgeKind;
using protocol::control::Role;

namespace {

log::SinkKind SinkOf(config::LogTarget target) {
  if (target == config::LogTarget::kJournald) return log::SinkKind::kJournald;
  if (target == config::LogTarget::kSyslog) return log::SinkKind::kSyslog;
  return log::SinkKind::kFile;
}

}  // namespace

absl::StatusOr<std::string> Master::ReadConfigFile() const {
  std::ifstream in(invocation_.config_file, std::ios::binary);
  if (!in) return NotFound("cannot read ", invocation_.config_file);
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

absl::Status Master::Prepare() {
  ASSIGN_OR_RETURN(toml_, ReadConfigFile());
  config::Outcome outcome = config::Parse(toml_, invocation_.config_file);
  if (!outcome.ok()) {
    std::string all;
    for (const config::Problem& problem : outcome.problems)
      all += (all.empty() ? "" : "\n") + problem.ToString();
    return InvalidArgument(all);
  }
  settings_ = *std::move(outcome.settings);
  ASSIGN_OR_RETURN(accounts_, Accounts(settings_));
  RETURN_IF_ERROR(PlanChildren());
  ASSIGN_OR_RETURN(const Identity qmgr, IdentityOf(Role::kQmgr, settings_));
  RETURN_IF_ERROR(MakeDirectories(settings_, qmgr, accounts_));
  ASSIGN_OR_RETURN(log_, OpenLog(settings_));
  log::Init({.sink = SinkOf(settings_.log.target),
             .format = settings_.log.format == config::LogFormat::kJson ? log::Format::kJson
                                                                        : log::Format::kPlain,
             .fd = Duplicate(log_),
             .daemon = "master"});
  ASSIGN_OR_RETURN(listeners_, OpenListeners(settings_));
  ASSIGN_OR_RETURN(admin_socket_, ListenUnix(settings_.run_directory + "/master.sock", 0600));
  for (size_t i = 0; i < settings_.queue.directories.size(); ++i) {
    const std::string path = settings_.run_directory + "/queue-" + std::to_string(i) + ".sock";
    ASSIGN_OR_RETURN(UniqueFd fd, ListenUnix(path, 0600));
    queue_sockets_.push_back(
        {.kind = protocol::control::ListenerKind::kAdminSocket, .name = path, .fd = std::move(fd)});
  }
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  signals_ = UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return ErrnoStatus(errno, "signalfd");
  return absl::OkStatus();
}

absl::Status Master::PlanChildren() {
  uint8_t origin = 1;
  const auto add = [&](Role role, uint32_t count) -> absl::Status {
    ASSIGN_OR_RETURN(const Identity identity, IdentityOf(role, settings_));
    for (uint32_t i = 0; i < count; ++i) {
      Child& child = children_.emplace_back();
      child.role = role;
      child.index = i;
      child.identity = identity;
      child.origin = origin++;
      child.name = StrCat(std::string_view(RoleName(role)), '.', i);
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(add(Role::kPolicyd, 1));
  RETURN_IF_ERROR(add(Role::kResolvd, 1));
  RETURN_IF_ERROR(add(Role::kQmgr, static_cast<uint32_t>(settings_.queue.directories.size())));
  RETURN_IF_ERROR(add(Role::kBounced, 1));
  RETURN_IF_ERROR(add(Role::kLocald, 1));
  RETURN_IF_ERROR(add(Role::kSmtpc, static_cast<uint32_t>(settings_.outbound.workers)));
  RETURN_IF_ERROR(add(Role::kSmtpd, static_cast<uint32_t>(settings_.smtp.workers)));
  const auto join = [&](EdgeKind kind, Role a, Role b) {
    for (Child& one : children_) {
      for (Child& other : children_) {
        if (one.role == a && other.role == b) edges_.push_back({kind, &one, &other});
      }
    }
  };
  join(EdgeKind::kSmtpdPolicyd, Role::kSmtpd, Role::kPolicyd);
  join(EdgeKind::kSmtpdQmgr, Role::kSmtpd, Role::kQmgr);
  join(EdgeKind::kQmgrSmtpc, Role::kQmgr, Role::kSmtpc);
  join(EdgeKind::kQmgrLocald, Role::kQmgr, Role::kLocald);
  join(EdgeKind::kQmgrBounced, Role::kQmgr, Role::kBounced);
  join(EdgeKind::kBouncedQmgr, Role::kBounced, Role::kQmgr);
  join(EdgeKind::kSmtpcResolvd, Role::kSmtpc, Role::kResolvd);
  return absl::OkStatus();
}

protocol::control::Configuration Master::ConfigurationFor(const Child& child) const {
  protocol::control::Configuration configuration{
      .toml = toml_,
      .file_name = invocation_.config_file,
      .base_directory = std::filesystem::path(invocation_.config_file).parent_path(),
      .accounts = {}};
  switch (child.role) {
    case Role::kPolicyd:
    case Role::kLocald:
      configuration.accounts = accounts_;
      break;
    case Role::kSmtpd:
      // Names for the uids of those who submit locally, and nothing else of them.
      for (const protocol::control::Account& account : accounts_) {
        configuration.accounts.push_back(
            {.name = account.name, .uid = account.uid, .gid = 0, .home = {}, .mailbox = {}});
      }
      break;
    case Role::kDeliver:
      for (const protocol::control::Account& account : accounts_) {
        if (account.name == child.account) configuration.accounts.push_back(account);
      }
      break;
    default:
      break;
  }
  return configuration;
}

}  // namespace postern::master
