#include "daemons/master/master.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/config/changes.h"
#include "common/config/parse.h"
#include "common/io/file.h"
#include "common/ipc/protocol/locald_deliver.h"
#include "common/log/log.h"
#include "daemons/master/notify.h"

namespace postern::master {
namespace {

using protocol::control::EdgeKind;
using protocol::control::Role;

constexpr absl::Duration kFirstRestartDelay = absl::Milliseconds(100);
// A daemon that ran so long had no failing start: the back-off begins anew.
constexpr absl::Duration kStableAfter = absl::Seconds(60);
constexpr absl::Duration kPingInterval = absl::Seconds(10);
// A daemon that hangs for so long is ended; a disk may stall a queue manager for half a minute.
constexpr absl::Duration kHangAfter = absl::Seconds(120);
constexpr absl::Duration kReloadTimeout = absl::Seconds(10);

log::SinkKind SinkOf(config::LogTarget target) {
  if (target == config::LogTarget::kJournald) return log::SinkKind::kJournald;
  if (target == config::LogTarget::kSyslog) return log::SinkKind::kSyslog;
  return log::SinkKind::kFile;
}

UniqueFd Duplicate(const UniqueFd& fd) { return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 10)); }

}  // namespace

// What a daemon says on its control channel.
class Master::ControlHandler final : public ipc::FrameHandler {
 public:
  ControlHandler(Master& master, Child& child) : master_(master), child_(child) {}

  absl::Status OnFrame(ipc::Frame& frame) override {
    switch (frame.type) {
      case protocol::control::kReady: {
        ASSIGN_OR_RETURN(const auto ready, ipc::DecodeFrame<protocol::control::Ready>(frame));
        master_.OnReady(child_, ready);
        return absl::OkStatus();
      }
      case protocol::control::kWantDeliver: {
        ASSIGN_OR_RETURN(const auto want, ipc::DecodeFrame<protocol::control::WantDeliver>(frame));
        // Nobody else may have a process as some user.
        if (child_.role != Role::kLocald)
          return DataLoss("control: only locald may ask for a delivery process");
        return master_.StartDeliver(child_, frame.id, want.user);
      }
      default:
        return DataLoss("control: unexpected message type ", int{frame.type});
    }
  }

 private:
  Master& master_;
  Child& child_;
};

Master::Master(io::Loop& loop, Invocation invocation)
    : loop_(loop), invocation_(std::move(invocation)) {}
Master::~Master() = default;

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

// Makes the pair of one edge: the starting child's end goes into `ends`, the other's to its owner,
// if that one runs (otherwise it is made when that one starts).
absl::Status Master::JoinEdge(const EdgePlan& plan, Child& starting,
                              std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>>& ends) {
  const bool is_a = plan.a == &starting;
  Child& other = is_a ? *plan.b : *plan.a;
  if (other.state == Child::State::kDead || other.control == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto pair, MakePair());
  protocol::control::EdgeEnd ours{
      .kind = plan.kind, .peer_index = other.index, .peer_origin = other.origin};
  protocol::control::EdgeEnd theirs{
      .kind = plan.kind, .peer_index = starting.index, .peer_origin = starting.origin};
  ends.emplace_back(ours, std::move(pair.first));
  return other.control->Send(other.control->NewId(), theirs, std::move(pair.second));
}

absl::Status Master::StartChild(Child& child) {
  ASSIGN_OR_RETURN(const std::string program, ProgramOf(child.role));
  ASSIGN_OR_RETURN(Spawned spawned, Spawn(program));
  child.pid = spawned.pid;
  child.state = Child::State::kStarting;
  child.since = absl::Now();
  child.last_pong = loop_.Now();
  child.handler = std::make_unique<ControlHandler>(*this, child);
  child.control = std::make_unique<ipc::Channel>(loop_, std::move(spawned.control),
                                                 protocol::kControl, ipc::Side::kA);
  std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>> ends;
  for (const EdgePlan& plan : edges_) {
    if (plan.a == &child || plan.b == &child) RETURN_IF_ERROR(JoinEdge(plan, child, ends));
  }
  RETURN_IF_ERROR(SendStart(child, std::move(ends)));
  controls_.Spawn(RunControl(child));
  return absl::OkStatus();
}

absl::Status Master::SendStart(Child& child,
                               std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>> ends) {
  ipc::Channel& control = *child.control;
  protocol::control::Configure configure;
  configure.role = child.role;
  configure.index = child.index;
  configure.origin = child.origin;
  configure.drop_ids = child.identity.drop;
  configure.uid = child.identity.uid;
  configure.gid = child.identity.gid;
  configure.configuration = ConfigurationFor(child);
  RETURN_IF_ERROR(control.Send(control.NewId(), configure));
  RETURN_IF_ERROR(control.Send(control.NewId(), protocol::control::LogEnd{}, Duplicate(log_)));
  for (auto& [which, end] : ends)
    RETURN_IF_ERROR(control.Send(control.NewId(), which, std::move(end)));
  const auto give = [&](const OpenListener& listener) {
    const protocol::control::ListenerEnd end{.kind = listener.kind, .name = listener.name};
    return control.Send(control.NewId(), end, Duplicate(listener.fd));
  };
  if (child.role == Role::kSmtpd) {
    for (const OpenListener& listener : listeners_) RETURN_IF_ERROR(give(listener));
  } else if (child.role == Role::kQmgr) {
    RETURN_IF_ERROR(give(queue_sockets_[child.index]));
  }
  return control.Send(control.NewId(), protocol::control::Begin{});
}

io::Task<void> Master::RunControl(Child& child) {
  ipc::Channel* control = child.control.get();
  const absl::Status ended = co_await control->Run(*child.handler);
  if (absl::IsDataLoss(ended)) {
    // It does not keep to the protocol: it may be in somebody's hands.
    log::Event(log::Severity::kError, log::kIncidentFrame)
        .Str("edge", "control")
        .Str("role", child.name)
        .Error(ended);
    if (child.pid > 0) ::kill(child.pid, SIGKILL);
  }
}

void Master::OnReady(Child& child, const protocol::control::Ready& ready) {
  child.state = stopping_ ? Child::State::kStopping : Child::State::kReady;
  child.backend = ready.backend;
  child.layers = ready.layers;
  child.last_pong = loop_.Now();
  log::Event(log::Severity::kInfo, log::kDaemonReady)
      .Str("role", child.name)
      .Int("child", child.pid)
      .Str("io", ready.backend)
      .Str("sandbox", ready.layers);
  changed_.Wake();
  if (announced_ || !AllReady()) return;
  announced_ = true;
  if (invocation_.instance) {
    std::ofstream(settings_.root + "/postern.pid") << ::getpid() << '\n';
    if (::write(STDOUT_FILENO, "ready\n", 6) < 0) {
      // Nobody reads: whoever started us does not wait for it.
    }
  }
  Notify("READY=1");
  std::string names;
  for (const OpenListener& listener : listeners_)
    names += (names.empty() ? "" : " ") + listener.name;
  log::Event(log::Severity::kInfo, log::kServerReady).Str("listeners", names);
}

bool Master::AllReady() const {
  return std::all_of(children_.begin(), children_.end(),
                     [](const Child& child) { return child.state == Child::State::kReady; });
}

io::Task<absl::Status> Master::Run() {
  started_ = absl::Now();
  log::Event(log::Severity::kInfo, log::kConfigLoaded).Str("file", invocation_.config_file);
  for (Child& child : children_) CO_RETURN_IF_ERROR(StartChild(child));
  io::TaskScope work;
  work.Spawn(TakeSignals());
  work.Spawn(KeepRunning());
  work.Spawn(WatchHealth());
  work.Spawn(ServeAdmin());
  IgnoreStatus(co_await stop_.Wait(io::Deadline::Never()), "stopping either way");
  co_await StopAll();
  work.RequestStop();
  admins_.RequestStop();
  const absl::Status ended = co_await work.JoinOrCancel();
  co_await admins_.Join();
  co_await controls_.Join();
  co_await io::YieldTurn();
  for (Child& child : children_) child.control.reset();
  delivers_.clear();
  if (invocation_.instance) ::unlink((settings_.root + "/postern.pid").c_str());
  log::Event(log::Severity::kInfo, log::kDaemonStopped).Str("role", "master");
  co_return ended;
}

io::Task<absl::Status> Master::TakeSignals() {
  for (;;) {
    CO_RETURN_IF_ERROR(
        (co_await io::Poll(loop_, signals_.get(), POLLIN, io::Deadline::Never())).status());
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      switch (info.ssi_signo) {
        case SIGCHLD:
          ReapChildren();
          break;
        case SIGHUP:
          Reload();
          break;
        default:
          log::Event(log::Severity::kInfo, log::kDaemonStopping)
              .Str("reason", info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
          stop_.Set();
          break;
      }
    }
  }
}

void Master::ReapChildren() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    for (Child& child : children_) {
      if (child.pid == pid) OnDied(child, status);
    }
    for (const std::unique_ptr<Child>& deliver : delivers_) {
      if (deliver->pid == pid) OnDied(*deliver, status);
    }
  }
}

void Master::OnDied(Child& child, int status) {
  const bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!clean) {
    log::Event event(log::Severity::kError, WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS
                                                ? log::kIncidentSandbox
                                                : log::kDaemonDied);
    event.Str("role", child.name).Int("child", child.pid);
    if (WIFSIGNALED(status)) event.Str("signal", ::sigabbrev_np(WTERMSIG(status)));
    if (WIFEXITED(status)) event.Int("status", WEXITSTATUS(status));
  }
  child.pid = 0;
  child.state = Child::State::kDead;
  child.counters.clear();
  if (child.control != nullptr) child.control->Close();
  if (absl::Now() - child.since > kStableAfter) child.failures = 0;
  absl::Duration delay =
      kFirstRestartDelay * (int64_t{1} << std::min<uint32_t>(child.failures, 16));
  delay = std::min(delay, settings_.master.restart_delay_longest);
  ++child.failures;
  child.restart_at = loop_.After(delay);
  if (!stopping_ && child.role != Role::kDeliver) {
    log::Event(log::Severity::kNotice, log::kDaemonRestarting)
        .Str("role", child.name)
        .Ms("delay", delay);
  }
  changed_.Wake();
}

// Starts what died, when its time has come.
io::Task<absl::Status> Master::KeepRunning() {
  for (;;) {
    io::Deadline next = io::Deadline::Never();
    if (!stopping_) {
      for (Child& child : children_) {
        if (child.state != Child::State::kDead) continue;
        if (child.restart_at > loop_.Now()) {
          next = std::min(next, child.restart_at);
          continue;
        }
        // The old channel's task has returned by now: a turn has passed since Close.
        child.control.reset();
        ++child.restarts;
        if (const absl::Status started = StartChild(child); !started.ok()) {
          log::Event(log::Severity::kError, log::kDaemonFailed)
              .Str("role", child.name)
              .Error(started);
          if (child.pid > 0) ::kill(child.pid, SIGKILL);
          if (child.pid == 0)
            child.restart_at = loop_.After(settings_.master.restart_delay_longest);
        }
      }
    }
    const absl::Status woken = co_await changed_.Wait(next);
    if (absl::IsCancelled(woken)) co_return woken;
    co_await io::YieldTurn();
  }
}

io::Task<absl::Status> Master::WatchHealth() {
  const absl::Duration watchdog = WatchdogInterval();
  const absl::Duration interval =
      watchdog > absl::ZeroDuration() ? std::min(watchdog, kPingInterval) : kPingInterval;
  for (;;) {
    CO_RETURN_IF_ERROR(co_await io::Sleep(loop_.After(interval)));
    io::TaskScope pings;
    for (Child& child : children_) {
      if (child.state != Child::State::kReady) continue;
      if (loop_.Now() - child.last_pong > kHangAfter) {
        log::Event(log::Severity::kError, log::kDaemonFailed)
            .Str("role", child.name)
            .Str("reason", "hangs: ended");
        ::kill(child.pid, SIGKILL);
        continue;
      }
      pings.Spawn(Ping(child));
    }
    co_await pings.Join();
    if (watchdog > absl::ZeroDuration()) Notify("WATCHDOG=1");
    // Deliveries that ended: their records go once their channel's task is over.
    for (size_t i = 0; i < delivers_.size();) {
      Child& deliver = *delivers_[i];
      if (deliver.state == Child::State::kDead && deliver.restart_at <= loop_.Now()) {
        delivers_.erase(delivers_.begin() + static_cast<ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }
}

io::Task<void> Master::Ping(Child& child) {
  ipc::Channel* control = child.control.get();
  if (control == nullptr || !control->open()) co_return;
  const pid_t pid = child.pid;
  const auto pong = co_await control->Call<protocol::control::Pong>(protocol::control::Ping{},
                                                                    loop_.After(kPingInterval / 2));
  if (!pong.ok() || child.pid != pid) co_return;
  child.last_pong = loop_.Now();
  child.counters.clear();
  for (const protocol::control::Counter& counter : pong->counters) {
    if (child.counters.size() > 900) break;
    child.counters += StrCat(child.counters.empty() ? "" : " ", counter.name, "=", counter.value);
  }
}

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

absl::Status Master::StartDeliver(Child& locald, uint32_t request, const std::string& user) {
  const auto account = std::find_if(accounts_.begin(), accounts_.end(),
                                    [&](const auto& one) { return one.name == user; });
  protocol::control::DeliverEnd answer;
  if (account == accounts_.end() || (::geteuid() == 0 && account->uid == 0)) {
    answer.error = "no such account";
    return locald.control->Send(request, answer);
  }
  auto deliver = std::make_unique<Child>();
  deliver->role = Role::kDeliver;
  deliver->name = "deliver";
  deliver->account = user;
  deliver->identity = {.drop = ::geteuid() == 0, .uid = account->uid, .gid = account->gid};
  Child& child = *delivers_.emplace_back(std::move(deliver));
  absl::StatusOr<std::pair<UniqueFd, UniqueFd>> pair = MakePair();
  absl::StatusOr<std::string> program = ProgramOf(Role::kDeliver);
  absl::StatusOr<Spawned> spawned = program.ok() ? Spawn(*program) : program.status();
  if (!pair.ok() || !spawned.ok()) {
    delivers_.pop_back();
    answer.error = std::string(Message(pair.ok() ? spawned.status() : pair.status()));
    return locald.control->Send(request, answer);
  }
  child.pid = spawned->pid;
  child.state = Child::State::kStarting;
  child.since = absl::Now();
  child.handler = std::make_unique<ControlHandler>(*this, child);
  child.control = std::make_unique<ipc::Channel>(loop_, std::move(spawned->control),
                                                 protocol::kControl, ipc::Side::kA);
  std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>> ends;
  ends.emplace_back(
      protocol::control::EdgeEnd{
          .kind = EdgeKind::kLocaldDeliver, .peer_index = 0, .peer_origin = 0},
      std::move(pair->second));
  IgnoreStatus(SendStart(child, std::move(ends)),
               "a child that died at once closes its end, which locald sees");
  controls_.Spawn(RunControl(child));
  return locald.control->Send(request, answer, std::move(pair->first));
}

}  // namespace postern::master
