// tests/daemons/started_daemon.h — a daemon as master starts it, confined as ever: the test is its
// master, and whoever else it talks to.
//
//   io::TaskScope scope;
//   StartedDaemon locald(loop, scope, POSTERN_LOCALD, configure);
//   ipc::Channel qmgr(loop, locald.AddEdge({.kind = ...}), protocol::kQmgrLocald, ipc::Side::kA);
//   CO_RETURN_IF_ERROR(co_await locald.Begin(until));
//   ...
//   locald.RequestStop();
//   co_await scope.Join();  // its end closes the channels
//   EXPECT_EQ(locald.WaitForEnd(), 0);
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/io/scope.h"
#include "common/ipc/channel.h"
#include "common/ipc/protocol/control.h"
#include "common/service/service.h"
#include "tests/testing/kernel_layers.h"

namespace postern::test {

// A sanitizer makes calls of its own that no profile allows.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define POSTERN_SANITIZED 1
#endif
#endif
#if defined(POSTERN_SANITIZED)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

inline std::pair<UniqueFd, UniqueFd> SocketPair() {
  int fds[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

inline protocol::control::Configure ConfigureFor(protocol::control::Role role,
                                                 io::BackendKind backend, std::string_view toml) {
  protocol::control::Configure configure;
  configure.role = role;
  configure.configuration.file_name = "/etc/postern/postern.toml";
  configure.configuration.base_directory = "/";
  configure.configuration.toml =
      StrCat("hostname = \"mail.example.net\"\ndomains = [\"example.org\"]\nio = \"",
             backend == io::BackendKind::kUring ? "uring" : "epoll", "\"\n", AllowMissing(), toml);
  return configure;
}

class StartedDaemon final : public ipc::FrameHandler {
 public:
  // What WantDeliver is answered with: locald's end, or an invalid one for "no".
  using MakeDeliver = std::function<UniqueFd(const std::string& user)>;

  // `scope` must be joined before this dies.
  StartedDaemon(io::Loop& loop, io::TaskScope& scope, const char* program,
                const protocol::control::Configure& configure)
      : StartedDaemon(loop, program, SocketPair()) {
    scope.Spawn(control_.Run(*this));
    IgnoreStatus(control_.Send(control_.NewId(), configure), "Begin tells");
  }
  ~StartedDaemon() override {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
  }

  // Our end of a fresh edge.
  UniqueFd AddEdge(const protocol::control::EdgeEnd& which) {
    auto [ours, theirs] = SocketPair();
    IgnoreStatus(control_.Send(control_.NewId(), which, std::move(theirs)), "Begin tells");
    return std::move(ours);
  }
  void AddListener(const protocol::control::ListenerEnd& which, UniqueFd listening) {
    IgnoreStatus(control_.Send(control_.NewId(), which, std::move(listening)), "Begin tells");
  }
  void RemoveListener(const std::string& name) {
    const protocol::control::ListenerGone gone{.name = name};
    IgnoreStatus(control_.Send(control_.NewId(), gone), "it may have ended by itself");
  }
  void set_make_deliver(MakeDeliver make) { make_deliver_ = std::move(make); }

  void SendBegin() {
    const protocol::control::Begin begin;
    IgnoreStatus(control_.Send(control_.NewId(), begin), "Ready tells");
  }
  // Until it is confined and serves.
  io::Task<absl::Status> Begin(io::Deadline until) {
    SendBegin();
    co_return co_await ready_.Wait(until);
  }
  io::Task<absl::StatusOr<protocol::control::Reloaded>> Reload(
      const protocol::control::Configuration& configuration, io::Deadline until) {
    const protocol::control::Reload reload{.configuration = configuration};
    co_return co_await control_.Call<protocol::control::Reloaded>(reload, until);
  }
  void RequestStop() {
    const protocol::control::Stop stop{.within_ms = 5000};
    IgnoreStatus(control_.Send(control_.NewId(), stop), "it may have ended by itself");
  }
  // The status of waitpid: 0 for an orderly end. Waits without the loop: join the scope first.
  int WaitForEnd() {
    int status = -1;
    ::waitpid(std::exchange(child_, -1), &status, 0);
    return status;
  }
  pid_t pid() const { return child_; }

  absl::Status OnFrame(ipc::Frame& frame) override {
    if (frame.type == protocol::control::kReady) ready_.Set();
    if (frame.type == protocol::control::kMapIds) return OnMapIds(frame);
    if (frame.type == protocol::control::kMoved) return OnMoved(frame);
    if (frame.type != protocol::control::kWantDeliver) return absl::OkStatus();
    ASSIGN_OR_RETURN(const auto want, ipc::DecodeFrame<protocol::control::WantDeliver>(frame));
    protocol::control::DeliverEnd answer;
    UniqueFd end = make_deliver_ ? make_deliver_(want.user) : UniqueFd();
    if (!end) answer.error = "no such account";
    return control_.Send(frame.id, answer, std::move(end));
  }

 private:
  StartedDaemon(io::Loop& loop, const char* program, std::pair<UniqueFd, UniqueFd> ends)
      : child_(Fork(program, ends.second.get())),
        control_(loop, std::move(ends.first), protocol::kControl, ipc::Side::kA) {}

  static pid_t Fork(const char* program, int end) {
    const pid_t child = ::fork();
    CHECK(child >= 0);
    if (child > 0) return child;
    // A descriptor that is 3 already would keep its close-on-exec flag.
    const int kept = ::fcntl(end, F_DUPFD, 10);
    ::dup2(kept, service::kControlFd);
    ::close(kept);
    ::execl(program, program, nullptr);
    ::_exit(127);
  }

  static void AnswerDone(const ipc::Frame& frame) {
    const std::string_view done = protocol::control::kOutsideDone;
    CHECK(::write(frame.descriptor.get(), done.data(), done.size()) ==
          static_cast<ssize_t>(done.size()));
  }

  // All ids there are, as master does; without an answer the daemon says what it lacks.
  absl::Status OnMapIds(ipc::Frame& frame) {
    ASSIGN_OR_RETURN(const auto whose, ipc::DecodeFrame<protocol::control::MapIds>(frame));
    for (const std::string name : {"gid_map", "uid_map"}) {
      std::ifstream own("/proc/self/" + name);
      std::string map;
      uint32_t inside;
      uint32_t outside;
      uint32_t count;
      while (own >> inside >> outside >> count)
        map += StrCat(inside, ' ', inside, ' ', count, '\n');
      const UniqueFd file(
          ::open(StrCat("/proc/", whose.pid, "/", name).c_str(), O_WRONLY | O_CLOEXEC));
      if (::write(file.get(), map.data(), map.size()) != static_cast<ssize_t>(map.size()))
        return ErrnoStatus(errno, "write ", name);
    }
    AnswerDone(frame);
    return absl::OkStatus();
  }

  // It is in namespaces of its own now; whom we started ends.
  absl::Status OnMoved(ipc::Frame& frame) {
    ASSIGN_OR_RETURN(const auto moved, ipc::DecodeFrame<protocol::control::Moved>(frame));
    const pid_t before = std::exchange(child_, static_cast<pid_t>(moved.pid));
    AnswerDone(frame);
    ::waitpid(before, nullptr, 0);
    return absl::OkStatus();
  }

  pid_t child_;
  ipc::Channel control_;
  io::Event ready_;
  MakeDeliver make_deliver_;
};

}  // namespace postern::test
