// The operator's side of master: `postern ps`.
#include <sys/socket.h>
#include <unistd.h>

#include "daemons/master/master.h"

namespace postern::master {

using protocol::control::Role;

// The operator's tool asks who runs.
class Master::AdminHandler final : public ipc::FrameHandler {
 public:
  AdminHandler(Master& master, ipc::Channel& channel) : master_(master), channel_(channel) {}
  absl::Status OnFrame(ipc::Frame& frame) override {
    if (frame.type != protocol::admin::kProcesses)
      return DataLoss("admin: not a question for master");
    return channel_.Send(frame.id, master_.ListProcesses());
  }

 private:
  Master& master_;
  ipc::Channel& channel_;
};

io::Task<absl::Status> Master::ServeAdmin() {
  io::Listener listener(loop_, std::move(admin_socket_));
  for (;;) {
    absl::StatusOr<UniqueFd> connection = co_await listener.Accept(io::Deadline::Never());
    if (absl::IsCancelled(connection.status())) co_return connection.status();
    if (connection.ok()) {
      admins_.Spawn(RunAdmin(*std::move(connection)));
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
  AdminHandler handler(*this, channel);
  IgnoreStatus(co_await channel.Run(handler), "a tool that misbehaves loses its connection");
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
    switch (child.state) {
      case Child::State::kStarting:
        process.state = "starting";
        break;
      case Child::State::kReady:
        process.state = "ready";
        break;
      case Child::State::kStopping:
        process.state = "stopping";
        break;
      case Child::State::kDead:
        process.state = "restarting";
        break;
    }
  };
  protocol::admin::Process& self = listed.processes.emplace_back();
  self.name = "master";
  self.pid = static_cast<uint32_t>(::getpid());
  self.uid = ::geteuid();
  self.state = stopping_ ? "stopping" : "ready";
  self.since_us = absl::ToUnixMicros(started_);
  self.backend = std::string(loop_.backend_name());
  self.layers = "no_new_privs";
  for (const Child& child : children_) add(child);
  for (const std::unique_ptr<Child>& deliver : delivers_) {
    if (deliver->pid > 0 && listed.processes.size() < 900) add(*deliver);
  }
  return listed;
}

}  // namespace postern::master
