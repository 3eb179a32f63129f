#include "daemons/master/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/service/service.h"

namespace postern::master {
namespace {

// In the child, between fork and exec: only calls that are safe there.
[[noreturn]] void Execute(const char* program, const char* name, int control) {
  // The end must be on its number without close-on-exec; if it is there already, dup2 leaves the
  // flag.
  if (control == service::kControlFd) {
    ::fcntl(control, F_SETFD, 0);
  } else if (::dup2(control, service::kControlFd) < 0) {
    ::_exit(126);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::prctl(PR_SET_PDEATHSIG, 0);
  char* const arguments[] = {const_cast<char*>(name), nullptr};
  char* const environment[] = {const_cast<char*>("LC_ALL=C"), nullptr};
  ::execve(program, arguments, environment);
  ::_exit(127);
}

}  // namespace

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakePair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
    return ErrnoStatus(errno, "socketpair");
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

UniqueFd Duplicate(const UniqueFd& fd) { return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 10)); }

absl::StatusOr<Spawned> Spawn(const std::string& program) {
  ASSIGN_OR_RETURN(auto ends, MakePair());
  const std::string name = std::filesystem::path(program).filename();
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoStatus(errno, "fork for ", program);
  if (pid == 0) Execute(program.c_str(), name.c_str(), ends.second.get());
  return Spawned{.pid = pid, .control = std::move(ends.first)};
}

absl::StatusOr<std::string> ProgramOf(protocol::control::Role role) {
  const std::string name = protocol::control::RoleName(role);
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Internal("cannot tell where this program lies: ", error.message());
  for (const std::filesystem::path& candidate :
       {self.parent_path() / name, self.parent_path().parent_path() / name / name}) {
    if (::access(candidate.c_str(), X_OK) == 0 &&
        std::filesystem::is_regular_file(candidate, error))
      return candidate.string();
  }
  return NotFound("program ", name, " is not beside ", self.string());
}

}  // namespace postern::master
