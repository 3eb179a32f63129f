// master: see README.md.
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/log/log.h"
#include "daemons/master/master.h"
#include "daemons/master/privileges.h"

namespace {

[[noreturn]] void Usage() {
  std::fprintf(stderr, "usage: master [--config FILE] [--instance]\n");
  std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace postern;
  master::Invocation invocation{.config_file = "/etc/postern/postern.toml", .instance = false};
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--instance") {
      invocation.instance = true;
    } else if (argument == "--config" && i + 1 < argc) {
      invocation.config_file = argv[++i];
    } else {
      Usage();
    }
  }
  std::error_code error;
  invocation.config_file = std::filesystem::absolute(invocation.config_file, error).string();
  ::umask(022);
  ::signal(SIGPIPE, SIG_IGN);
  // epoll: master forks, and a ring does not like that.
  absl::StatusOr<std::unique_ptr<io::Loop>> loop =
      io::Loop::Create({.backend = io::BackendKind::kEpoll, .restrict_ring = {}});
  if (!loop.ok()) {
    std::fprintf(stderr, "postern: %s\n", std::string(Message(loop.status())).c_str());
    return 1;
  }
  (*loop)->BeforeWait([](bool) { log::Flush(); });
  master::Master server(**loop, invocation);
  if (const absl::Status prepared = server.Prepare(); !prepared.ok()) {
    std::fprintf(stderr, "%s\n", std::string(Message(prepared)).c_str());
    return 1;
  }
  if (const absl::Status dropped = master::DropPowers(); !dropped.ok()) {
    std::fprintf(stderr, "postern: give up what is not needed: %s\n",
                 std::string(Message(dropped)).c_str());
    return 1;
  }
  const absl::Status ended = (*loop)->Run(server.Run());
  if (!ended.ok() && !absl::IsCancelled(ended)) {
    std::fprintf(stderr, "postern: %s\n", std::string(Message(ended)).c_str());
    log::Event(log::Severity::kError, log::kDaemonFailed).Error(ended);
    log::Flush();
    return 1;
  }
  log::Flush();
  return 0;
}
