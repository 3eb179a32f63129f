// A new configuration for a server that runs: the whole of it, or nothing.
#include "common/config/changes.h"
#include "common/config/parse.h"
#include "common/log/log.h"
#include "daemons/master/master.h"
#include "daemons/master/notify.h"

namespace postern::master {

using protocol::control::Role;

namespace {

constexpr absl::Duration kReloadTimeout = absl::Seconds(10);

}  // namespace

void Master::ReopenLog() {
  absl::StatusOr<UniqueFd> log = OpenLog(settings_);
  if (!log.ok()) {
    log::Event(log::Severity::kError, log::kConfigRefused)
        .Str("reason", "the log stays as it is")
        .Error(log.status());
    return;
  }
  log_ = *std::move(log);
  log::ReplaceDescriptor(Duplicate(log_));
  for (Child& child : children_) {
    if (child.control == nullptr || !child.control->open()) continue;
    IgnoreStatus(
        child.control->Send(child.control->NewId(), protocol::control::LogEnd{}, Duplicate(log_)),
        "a dead one gets it at its start");
  }
}

void Master::Reload() {
  Notify("RELOADING=1");
  absl::StatusOr<std::string> toml = ReadConfigFile();
  config::Outcome outcome;
  if (toml.ok()) outcome = config::Parse(*toml, invocation_.config_file);
  absl::StatusOr<std::vector<protocol::control::Account>> accounts = accounts_;
  if (outcome.ok()) accounts = Accounts(*outcome.settings);
  if (!outcome.ok() || !accounts.ok()) {
    log::Event event(log::Severity::kError, log::kConfigRefused);
    event.Str("file", invocation_.config_file);
    if (!outcome.problems.empty())
      event.Str("reason", outcome.problems.front().ToString())
          .Int("problems", outcome.problems.size());
    event.Error(toml.ok() ? accounts.status() : toml.status());
    Notify("READY=1");
    return;
  }
  std::string late;
  for (const std::string& key : config::ChangedKeys(settings_, *outcome.settings)) {
    if (config::NeedsRestart(key)) late += (late.empty() ? "" : " ") + key;
  }
  toml_ = *std::move(toml);
  settings_ = *std::move(outcome.settings);
  accounts_ = *std::move(accounts);
  if (const auto qmgr = IdentityOf(Role::kQmgr, settings_); qmgr.ok()) {
    IgnoreStatus(MakeDirectories(settings_, *qmgr, accounts_),
                 "a mailbox that cannot be made defers its mail");
  }
  ReopenLog();
  for (Child& child : children_) controls_.Spawn(ReloadChild(child));
  // Each serves one account with the settings it started with; new ones get the new settings.
  for (const std::unique_ptr<Child>& deliver : delivers_) {
    if (deliver->state == Child::State::kDead || deliver->control == nullptr) continue;
    const protocol::control::Stop stop{.within_ms = 30'000};
    IgnoreStatus(deliver->control->Send(deliver->control->NewId(), stop), "it is gone already");
  }
  log::Event(log::Severity::kInfo, log::kConfigReloaded)
      .Str("file", invocation_.config_file)
      .Str("after_restart", late);
  Notify("READY=1");
}

io::Task<void> Master::ReloadChild(Child& child) {
  ipc::Channel* control = child.control.get();
  if (control == nullptr || !control->open()) co_return;
  const protocol::control::Reload reload{.configuration = ConfigurationFor(child)};
  const auto answer =
      co_await control->Call<protocol::control::Reloaded>(reload, loop_.After(kReloadTimeout));
  if (answer.ok() && answer->error.empty()) co_return;
  log::Event(log::Severity::kError, log::kConfigRefused)
      .Str("role", child.name)
      .Str("reason", answer.ok() ? answer->error : "")
      .Error(answer.status());
}

}  // namespace postern::master
