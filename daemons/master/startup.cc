// What master does before anything runs: it reads, plans and binds.
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <set>

#include "common/config/parse.h"
#include "common/log/log.h"
#include "daemons/master/master.h"
#include "daemons/master/notify.h"

namespace postern::master {

using protocol::control::Role;

namespace {

// A master that was killed may leave daemons that are just ending, and with them their listeners.
constexpr absl::Duration kPatienceAfterCrash = absl::Seconds(5);

absl::StatusOr<UniqueFd> OpenSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return ErrnoStatus(errno, "signalfd");
  return fd;
}

absl::StatusOr<std::string> ReadConfiguration(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return ErrnoStatus(errno, "read ", path);
  std::string text(protocol::control::kMaxConfiguration + 1, '\0');
  size_t octets = 0;
  while (octets < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + octets, text.size() - octets);
    if (got < 0) return ErrnoStatus(errno, "read ", path);
    if (got == 0) break;
    octets += static_cast<size_t>(got);
  }
  if (octets == text.size())
    return InvalidArgument("read ", path, ": larger than 1 MiB; this is no configuration");
  text.resize(octets);
  return text;
}

// Never seen half written.
absl::Status WritePid(const std::string& path) {
  const std::string fresh = path + ".new";
  const std::string pid = StrCat(::getpid(), '\n');
  const UniqueFd file(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file || ::write(file.get(), pid.data(), pid.size()) < 0 ||
      ::rename(fresh.c_str(), path.c_str()) < 0) {
    return ErrnoStatus(errno, "write ", path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Master::Loaded> Master::Load() const {
  Loaded loaded;
  ASSIGN_OR_RETURN(loaded.toml, ReadConfiguration(invocation_.config_file));
  config::Outcome outcome = config::Parse(loaded.toml, invocation_.config_file);
  if (!outcome.ok()) {
    std::string all;
    for (const config::Problem& problem : outcome.problems)
      all += (all.empty() ? "" : "\n") + problem.ToString();
    return InvalidArgument(all);
  }
  loaded.settings = *std::move(outcome.settings);
  return loaded;
}

absl::Status Master::Prepare() {
  // First: from here on no signal ends us halfway.
  ASSIGN_OR_RETURN(signals_, OpenSignals());
  ASSIGN_OR_RETURN(std::vector<OpenListener> passed, TakePassedSockets());
  listeners_.AddSpare(std::move(passed));
  ASSIGN_OR_RETURN(now_, Load());
  ASSIGN_OR_RETURN(now_.accounts, Accounts(now_.settings));
  started_ = now_;
  RETURN_IF_ERROR(PlanChildren());
  RETURN_IF_ERROR(CheckPrograms());
  return OpenAll();
}

absl::Status Master::OpenAll() {
  const config::Settings& settings = now_.settings;
  RETURN_IF_ERROR(MakeRunDirectory(settings));
  // Before anything of a server that runs there already is touched.
  ASSIGN_OR_RETURN(lock_, service::InstanceLock::Take(settings.run_directory));
  if (invocation_.instance) ::unlink((settings.root + "/postern.pid").c_str());
  ASSIGN_OR_RETURN(const Identity qmgr, IdentityOf(Role::kQmgr, settings));
  RETURN_IF_ERROR(MakeDirectories(settings, qmgr, now_.accounts));
  ASSIGN_OR_RETURN(log_, OpenLog(settings));
  ASSIGN_OR_RETURN(Listeners::Change change,
                   listeners_.Prepare(settings.smtp, lock_.after_crash() ? kPatienceAfterCrash
                                                                         : absl::ZeroDuration()));
  listeners_.Apply(std::move(change));
  RETURN_IF_ERROR(listeners_.CheckSpare());
  // What lies in our run directory is ours to replace.
  ASSIGN_OR_RETURN(admin_socket_,
                   ListenUnix(settings.run_directory + "/master.sock", 0600, Present::kReplace));
  for (size_t i = 0; i < settings.queue.directories.size(); ++i) {
    const std::string path = StrCat(settings.run_directory, "/queue-", i, ".sock");
    ASSIGN_OR_RETURN(UniqueFd fd, ListenUnix(path, 0600, Present::kReplace));
    queue_sockets_.push_back(
        {.kind = protocol::control::ListenerKind::kAdminSocket, .name = path, .fd = std::move(fd)});
  }
  // Last: what went wrong so far is for whoever started us, on standard error.
  log::Init({.sink = SinkOf(settings.log),
             .format = FormatOf(settings.log),
             .fd = Duplicate(log_),
             .daemon = "master",
             .minimum = static_cast<log::Severity>(settings.log.level)});
  return absl::OkStatus();
}

absl::Status Master::PlanChildren() {
  const config::Settings& settings = now_.settings;
  for (const auto& [role, count] : {std::pair<Role, size_t>{Role::kPolicyd, 1},
                                    {Role::kResolvd, 1},
                                    {Role::kQmgr, settings.queue.directories.size()},
                                    {Role::kBounced, 1},
                                    {Role::kLocald, 1},
                                    {Role::kSmtpc, static_cast<size_t>(settings.outbound.workers)},
                                    {Role::kSmtpd, static_cast<size_t>(settings.smtp.workers)}}) {
    for (uint32_t i = 0; i < count; ++i) RETURN_IF_ERROR(AddChild(role, i).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<Child*> Master::AddChild(Role role, uint32_t index) {
  ASSIGN_OR_RETURN(const Identity identity, IdentityOf(role, now_.settings));
  const std::string name = StrCat(std::string_view(protocol::control::RoleName(role)), '.', index);
  const auto [origin, is_new] = origins_.try_emplace(name, origins_.size() + 1);
  Child& child = children_.emplace_back();
  child.role = role;
  child.index = index;
  child.identity = identity;
  child.origin = origin->second;
  child.name = name;
  child.restart_at = loop_.Now();
  return &child;
}

absl::Status Master::CheckPrograms() const {
  std::set<Role> roles = {Role::kDeliver};
  for (const Child& child : children_) roles.insert(child.role);
  for (const Role role : roles) RETURN_IF_ERROR(ProgramOf(role).status());
  return absl::OkStatus();
}

// Once: everything runs.
void Master::Announce() {
  announced_ = true;
  if (invocation_.instance) {
    const absl::Status written = WritePid(now_.settings.root + "/postern.pid");
    if (!written.ok())
      log::Event(log::Severity::kError, log::kDaemonFailed).Str("stage", "start").Error(written);
    if (::write(STDOUT_FILENO, "ready\n", 6) < 0) {
      // Nobody reads: whoever started us does not wait for it.
    }
  }
  Notify("READY=1");
  log::Event(log::Severity::kInfo, log::kServerReady).Str("listeners", listeners_.Names());
}

}  // namespace postern::master
