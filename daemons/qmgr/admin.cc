#include "daemons/qmgr/admin.h"

#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "daemons/qmgr/admin_connection.h"

namespace postern::qmgr {

namespace admin = protocol::admin;

io::Task<absl::Status> Admin::Serve(UniqueFd socket) {
  io::Listener listener(queue_.loop(), std::move(socket));
  absl::Status ended;
  for (;;) {
    absl::StatusOr<io::Listener::Connection> connection =
        co_await listener.Accept(io::Deadline::Never());
    if (connection.ok()) {
      connections_.Spawn(Run(std::move(connection->fd)));
      continue;
    }
    ended = connection.status();
    if (absl::IsCancelled(ended)) break;
    if (!(co_await io::Sleep(queue_.loop().After(absl::Milliseconds(100)))).ok()) break;
  }
  connections_.RequestStop();
  co_await connections_.Join();
  co_return ended;
}

io::Task<void> Admin::Run(UniqueFd connection) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ||
      (peer.uid != root_uid_ && peer.uid != owner_uid_))
    co_return;
  co_await Talk(std::move(connection), peer.uid);
}

io::Task<void> Admin::Talk(UniqueFd connection, uid_t peer) {
  ipc::Channel channel(queue_.loop(), std::move(connection), protocol::kAdmin, ipc::Side::kB);
  AdminConnection handler(queue_, channel, peer);
  const absl::Status ended = co_await channel.Run(handler);
  if (!ended.ok() && !absl::IsCancelled(ended)) {
    log::Event(log::Severity::kWarning, log::kIncidentFrame)
        .Str("edge", protocol::kAdmin.name)
        .Int("uid", peer)
        .Error(ended);
  }
  co_await handler.Join();
  co_await io::YieldTurn();
}

absl::Status AdminConnection::OnFrame(ipc::Frame& frame) {
  switch (frame.type) {
    case admin::kList: {
      ASSIGN_OR_RETURN(auto list, ipc::DecodeFrame<admin::List>(frame));
      work_.Spawn(List(frame.id, std::move(list)));
      return absl::OkStatus();
    }
    case admin::kShow: {
      ASSIGN_OR_RETURN(const auto show, ipc::DecodeFrame<admin::Show>(frame));
      work_.Spawn(Show(frame.id, show));
      return absl::OkStatus();
    }
    case admin::kAct: {
      ASSIGN_OR_RETURN(auto act, ipc::DecodeFrame<admin::Act>(frame));
      work_.Spawn(Act(frame.id, std::move(act)));
      return absl::OkStatus();
    }
    case admin::kDestinations: {
      ASSIGN_OR_RETURN(const auto question, ipc::DecodeFrame<admin::Destinations>(frame));
      (void)question;  // it has no fields
      return channel_.Send(frame.id, ListDestinations());
    }
    default:
      return DataLoss("admin: not a question for qmgr");
  }
}

io::Task<void> AdminConnection::Join() {
  work_.RequestStop();
  co_await work_.Join();
}

bool AdminConnection::ActOn(uint64_t queue_id, const admin::Act& act) {
  switch (act.verb) {
    case admin::Verb::kHold:
      return queue_.Hold(queue_id, act.reason, actor_);
    case admin::Verb::kRelease:
      return queue_.Release(queue_id, act.reason, actor_);
    case admin::Verb::kDelete:
      return queue_.Delete(queue_id, act.reason, actor_);
    case admin::Verb::kRequeue:
    case admin::Verb::kFlush:
      return queue_.Requeue(queue_id, act.reason, actor_);
  }
  return false;
}

io::Task<absl::Status> AdminConnection::Act(uint32_t id, admin::Act act) {
  admin::Acted acted;
  if (act.queue_id != 0) {
    acted.count = ActOn(act.queue_id, act) ? 1 : 0;
    if (acted.count == 0) {
      acted.error = queue_.Find(act.queue_id) == nullptr
                        ? "no such message in the queue"
                        : "nothing to change: look at postern queue show";
    }
  } else if (act.verb == admin::Verb::kFlush) {
    acted.count = queue_.Flush(act.destination, actor_);
  } else if (act.all) {
    std::vector<uint64_t> ids;
    ids.reserve(queue_.messages().size());
    for (const auto& [queue_id, message] : queue_.messages()) ids.push_back(queue_id);
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ActOn(ids[i], act)) ++acted.count;
      if (i % kActedAtOnce == kActedAtOnce - 1) co_await io::YieldTurn();
    }
  }
  const absl::Status durable = co_await queue_.store().Flush();
  if (!durable.ok()) acted.error = std::string(Message(durable)).substr(0, protocol::kMaxReason);
  co_return channel_.Send(id, acted);
}

admin::DestinationsListed AdminConnection::ListDestinations() const {
  admin::DestinationsListed listed;
  for (DestinationView& view : queue_.scheduler().Destinations(1000)) {
    listed.destinations.push_back({.name = view.name.substr(0, protocol::kMaxDomain),
                                   .window = view.window,
                                   .in_flight = view.in_flight,
                                   .waiting = view.waiting,
                                   .failures = view.failures,
                                   .next_attempt_us = queue_.ToWallUs(view.blocked_until_us),
                                   .last_error = std::move(view.last_error)});
  }
  return listed;
}

}  // namespace postern::qmgr
