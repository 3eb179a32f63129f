// A new configuration for a server that runs: the whole of it, or nothing.
#include "common/config/changes.h"
#include "common/log/log.h"
#include "daemons/master/master.h"
#include "daemons/master/notify.h"

namespace postern::master {

using protocol::control::Role;

namespace {

// A daemon takes it between two turns of its loop.
constexpr absl::Duration kReloadTimeout = absl::Seconds(10);
constexpr absl::Duration kFinishDelivery = absl::Seconds(30);

std::string Joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all.append(all.empty() ? "" : " ").append(part);
  return all;
}

}  // namespace

io::Task<void> Master::ReloadOnSignal() { (void)co_await Reload(); }  // the log has the report

// One after the other, each with what the file holds then.
io::Task<protocol::admin::Reloaded> Master::Reload() {
  protocol::admin::Reloaded report;
  absl::Status waited;
  while (reloading_ && waited.ok()) waited = co_await reload_ended_.Wait(io::Deadline::Never());
  if (stopping_ || !waited.ok()) {
    report.error = "the server is stopping";
    co_return report;
  }
  reloading_ = true;
  if (announced_) NotifyReloading();
  absl::StatusOr<std::vector<std::string>> needs_restart = TakeConfiguration();
  if (needs_restart.ok()) {
    report.needs_restart = *std::move(needs_restart);
    report.failures = co_await ReloadChildren();
    log::Event event(log::Severity::kInfo, log::kConfigReloaded);
    event.Str("file", invocation_.config_file);
    if (!report.needs_restart.empty()) event.Str("needs_restart", Joined(report.needs_restart));
  } else {
    report.error = std::string(Message(needs_restart.status()));
    log::Event(log::Severity::kError, log::kConfigRefused)
        .Str("file", invocation_.config_file)
        .Str("reason", report.error);
  }
  if (announced_) Notify("READY=1");
  reloading_ = false;
  reload_ended_.Wake();
  co_return report;
}

// Checks and opens everything before anything changes. The keys whose new values only a restart
// would take.
absl::StatusOr<std::vector<std::string>> Master::TakeConfiguration() {
  ASSIGN_OR_RETURN(Loaded loaded, Load());
  const config::Settings& old = started_.settings;
  if (loaded.settings.root != old.root) {
    return FailedPrecondition("root is ", loaded.settings.root, " now, but this server lives in ",
                              old.root, ": a reload cannot move it");
  }
  std::vector<std::string> needs_restart;
  for (std::string& key : config::ChangedKeys(old, loaded.settings)) {
    if (config::NeedsRestart(key)) needs_restart.push_back(std::move(key));
  }
  config::KeepStarted(old, loaded.settings);
  ASSIGN_OR_RETURN(loaded.accounts, Accounts(loaded.settings));
  ASSIGN_OR_RETURN(const Identity qmgr, IdentityOf(Role::kQmgr, loaded.settings));
  RETURN_IF_ERROR(MakeDirectories(loaded.settings, qmgr, loaded.accounts));
  ASSIGN_OR_RETURN(UniqueFd log, OpenLog(loaded.settings));
  ASSIGN_OR_RETURN(Listeners::Change change, listeners_.Prepare(loaded.settings.smtp));
  // Nothing below fails.
  now_ = std::move(loaded);
  log_ = std::move(log);
  log::Redirect(SinkOf(now_.settings.log), FormatOf(now_.settings.log), Duplicate(log_));
  log::SetMinimum(static_cast<log::Severity>(now_.settings.log.level));
  for (const std::string& name : change.removed) TellListenerGone(name);
  for (const OpenListener& listener : change.added) TellListener(listener);
  listeners_.Apply(std::move(change));
  return needs_restart;
}

// What each process says that did not take it.
io::Task<std::vector<std::string>> Master::ReloadChildren() {
  std::vector<std::string> failures;
  io::TaskScope asked;
  for (Child& child : children_) {
    if (child.control != nullptr && child.control->open())
      asked.Spawn(ReloadChild(child, failures));
  }
  ScaleWorkers();
  // Each serves one account with the settings it started with; new ones get the new settings.
  for (const std::unique_ptr<Child>& deliver : delivers_) {
    if (deliver->state != Child::State::kDead) StopOne(*deliver, kFinishDelivery);
  }
  // The settings have left by now, and say what kind of log it is.
  co_await io::YieldTurn();
  for (Child& child : children_) SendLog(child);
  co_await asked.Join();
  co_return failures;
}

io::Task<void> Master::ReloadChild(Child& child, std::vector<std::string>& failures) {
  ipc::Channel* control = child.control.get();
  const std::string name = child.name;
  const protocol::control::Reload reload{.configuration = ConfigurationFor(child)};
  const auto answer =
      co_await control->Call<protocol::control::Reloaded>(reload, loop_.After(kReloadTimeout));
  // One that died meanwhile starts with the new settings.
  if (absl::IsUnavailable(answer.status())) co_return;
  if (answer.ok() && answer->error.empty()) {
    // What it has in hand comes to its end first.
    if (answer->restart && child.state == Child::State::kReady)
      StopOne(child, now_.settings.master.stop_timeout);
    co_return;
  }
  const std::string why = answer.ok() ? answer->error : std::string(Message(answer.status()));
  failures.push_back(StrCat(name, ": ", why).substr(0, protocol::kMaxReason));
  log::Event(log::Severity::kError, log::kConfigRefused).Str("role", name).Str("reason", why);
}

void Master::TellListener(const OpenListener& listener) {
  for (Child& child : children_) {
    if (child.role != Role::kSmtpd || child.draining || child.control == nullptr) continue;
    const protocol::control::ListenerEnd end{.kind = listener.kind, .name = listener.name};
    IgnoreStatus(child.control->Send(child.control->NewId(), end, Duplicate(listener.fd)),
                 "one that is just dying gets it at its start");
  }
  log::Event(log::Severity::kInfo, log::kListenerOpened).Str("address", listener.name);
}

void Master::TellListenerGone(const std::string& name) {
  const protocol::control::ListenerGone gone{.name = name};
  for (Child& child : children_) {
    if (child.role != Role::kSmtpd || child.control == nullptr) continue;
    IgnoreStatus(child.control->Send(child.control->NewId(), gone), "a dead one has it no more");
  }
  log::Event(log::Severity::kInfo, log::kListenerClosed).Str("address", name);
}

}  // namespace postern::master
