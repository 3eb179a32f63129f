// The operator's side of master: `postern ps`, `postern reload`.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "daemons/master/master.h"

namespace postern::master {

using protocol::control::Role;

namespace {

std::string StateOf(const Child& child, io::Deadline now) {
  switch (child.state) {
    case Child::State::kStarting:
      return "starting";
    case Child::State::kReady:
      return child.draining ? "draining" : "ready";
    case Child::State::kStopping:
      return "stopping";
    case Child::State::kDead:
      break;
  }
  const int64_t seconds =
      absl::ToInt64Seconds(absl::Ceil(child.restart_at - now, absl::Seconds(1)));
  return StrCat("restarting in ", std::clamp<int64_t>(seconds, 0, 3600), "s");
}

}  // namespace

// What the operator's tool asks.
class Master::AdminHandler final : public ipc::FrameHandler {
 public:
  // All must outlive the handler; answers that take their time are tasks in `answers`.
  AdminHandler(Master& master, ipc::Channel& channel, io::TaskScope& answers)
      : master_(master), channel_(channel), answers_(answers) {}
  absl::Status OnFrame(ipc::Frame& frame) override {
    switch (frame.type) {
      case protocol::admin::kProcesses:
        return channel_.Send(frame.id, master_.ListProcesses());
      case protocol::admin::kReload:
        answers_.Spawn(Reload(frame.id));
        return absl::OkStatus();
      default:
        return DataLoss("admin: not a question for master");
    }
  }

 private:
  io::Task<void> Reload(uint32_t id) {
    protocol::admin::Reloaded report = co_await master_.Reload();
    IgnoreStatus(channel_.Send(id, report), "who asked has left");
  }

  Master& master_;
  ipc::Channel& channel_;
  io::TaskScope& answers_;
};

io::Task<absl::Status> Master::ServeAdmin() {
  io::Listener listener(loop_, std::move(admin_socket_));
  for (;;) {
    absl::StatusOr<io::Listener::Connection> connection =
        co_await listener.Accept(io::Deadline::Never());
    if (absl::IsCancelled(connection.status())) co_return connection.status();
    if (connection.ok()) {
      admins_.Spawn(RunAdmin(std::move(connection->fd)));
    } else {
      CO_RETURN_IF_ERROR(co_await io::Sleep(loop_.After(absl::Milliseconds(100))));
    }
  }
}

io::Task<void> Master::RunAdmin(UniqueFd connection) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ||
      (peer.uid != 0 && peer.uid != ::geteuid()))
    co_return;
  io::TaskScope pings;
  for (Child& child : children_) {
    if (child.state == Child::State::kReady) pings.Spawn(Ping(child));
  }
  co_await pings.Join();
  ipc::Channel channel(loop_, std::move(connection), protocol::kAdmin, ipc::Side::kB);
  io::TaskScope answers;
  AdminHandler handler(*this, channel, answers);
  IgnoreStatus(co_await channel.Run(handler), "a tool that misbehaves loses its connection");
  co_await answers.Join();
  co_await io::YieldTurn();
}

protocol::admin::ProcessesListed Master::ListProcesses() const {
  protocol::admin::ProcessesListed listed;
  const auto add = [&](const Child& child) {
    protocol::admin::Process& process = listed.processes.emplace_back();
    process.name = child.role == Role::kDeliver ? "deliver/" + child.account : child.name;
    process.pid = static_cast<uint32_t>(child.pid);
    process.uid = child.identity.drop ? child.identity.uid : ::geteuid();
    process.restarts = child.restarts;
    process.since_us = absl::ToUnixMicros(child.since);
    process.backend = child.backend;
    process.layers = child.layers;
    process.counters = child.counters;
    process.state = StateOf(child, loop_.Now());
  };
  protocol::admin::Process& self = listed.processes.emplace_back();
  self.name = "master";
  self.pid = static_cast<uint32_t>(::getpid());
  self.uid = ::geteuid();
  self.state = stopping_ ? "stopping" : "ready";
  self.since_us = absl::ToUnixMicros(since_);
  self.backend = std::string(loop_.backend_name());
  self.layers = "no_new_privs";
  for (const Child& child : children_) add(child);
  for (const std::unique_ptr<Child>& deliver : delivers_) {
    if (deliver->pid > 0 && listed.processes.size() < 900) add(*deliver);
  }
  return listed;
}

}  // namespace postern::master
