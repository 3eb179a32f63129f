#include "daemons/smtpc/smtpc.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/queue_id.h"
#include "common/io/socket.h"
#include "common/log/log.h"

namespace postern::smtpc {

namespace delivery = protocol::delivery;

namespace {

// Answers are taken by the calls that wait for them.
class ResolvdHandler final : public service::PeerHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override {
    return DataLoss("unexpected message type ", int{frame.type});
  }
};

}  // namespace

class Smtpc::QmgrHandler final : public service::PeerHandler {
 public:
  explicit QmgrHandler(Smtpc& smtpc) : smtpc_(smtpc) {}

  void OnUp(ipc::Channel& channel) override {
    channel_ = &channel;
    ++generation_;
    IgnoreStatus(channel.Send(channel.NewId(), delivery::Capacity{.jobs = kCapacity}),
                 "it is gone again");
  }
  void OnDown(const absl::Status&) override {
    channel_ = nullptr;
    ++generation_;
  }
  absl::Status OnFrame(ipc::Frame& frame) override {
    if (frame.type == delivery::kCancelJob) return absl::OkStatus();  // what is on its way arrives
    if (frame.type != delivery::kJob) return DataLoss("unexpected message type ", int{frame.type});
    auto work = std::make_unique<Work>();
    ASSIGN_OR_RETURN(work->job, ipc::DecodeFrame<delivery::Job>(frame));
    work->front = work->job.inline_content;
    work->job.inline_content = work->front;
    work->descriptor = std::move(frame.descriptor);
    smtpc_.jobs_.Spawn(smtpc_.RunJob(*this, generation_, frame.id, std::move(work)));
    return absl::OkStatus();
  }
  ipc::Channel* channel(uint64_t generation) const {
    return generation == generation_ ? channel_ : nullptr;
  }

 private:
  Smtpc& smtpc_;
  ipc::Channel* channel_ = nullptr;
  uint64_t generation_ = 0;
};

Smtpc::Smtpc(service::Service& service)
    : service_(service),
      resolvd_(service.loop(), edges_, protocol::kSmtpcResolvd, ipc::Side::kA,
               [](uint32_t, uint8_t) { return std::make_unique<ResolvdHandler>(); }),
      qmgr_(service.loop(), edges_, protocol::kQmgrSmtpc, ipc::Side::kB,
            [this](uint32_t, uint8_t) { return std::make_unique<QmgrHandler>(*this); }),
      resolver_(service.loop(), [this] { return resolvd_.channel(0); }) {}

void Smtpc::OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) {
  using protocol::control::EdgeKind;
  if (which.kind == EdgeKind::kQmgrSmtpc)
    qmgr_.Attach(which.peer_index, which.peer_origin, std::move(end));
  if (which.kind == EdgeKind::kSmtpcResolvd)
    resolvd_.Attach(which.peer_index, which.peer_origin, std::move(end));
}

Smtpc::Ended Smtpc::AllFor(const Work& work, delivery::Outcome outcome, std::string status,
                           std::string reason) {
  Ended ended;
  ended.reason = reason.substr(0, protocol::kMaxReason);
  for (const delivery::JobRecipient& recipient : work.job.recipients) {
    delivery::Result& result = ended.results.emplace_back();
    result.index = recipient.index;
    result.outcome = outcome;
    result.status = status;
    result.diagnostic = ended.reason;
  }
  return ended;
}

io::Task<void> Smtpc::RunJob(QmgrHandler& qmgr, uint64_t generation, uint32_t frame_id,
                             std::unique_ptr<Work> work) {
  const Ended ended = co_await Deliver(*work);
  LogResults(*work, ended);
  ipc::Channel* channel = qmgr.channel(generation);
  if (channel == nullptr) co_return;  // a new qmgr gives the message out again
  const delivery::Results results{.results = ended.results};
  const delivery::JobDone done{.destination = ended.destination, .reason = ended.reason};
  if (channel->Send(frame_id, results).ok())
    IgnoreStatus(channel->Send(frame_id, done), "as above");
}

void Smtpc::LogResults(const Work& work, const Ended& ended) const {
  for (const delivery::Result& result : ended.results) {
    const auto recipient =
        std::find_if(work.job.recipients.begin(), work.job.recipients.end(),
                     [&](const delivery::JobRecipient& one) { return one.index == result.index; });
    if (recipient == work.job.recipients.end()) continue;
    const bool sent = result.outcome == delivery::Outcome::kDelivered ||
                      result.outcome == delivery::Outcome::kRelayed;
    log::Event event(sent ? log::Severity::kInfo : log::Severity::kNotice,
                     sent ? log::kMessageRelayed : log::kMessageDeferred);
    event.Id(QueueId(work.job.queue_id))
        .Str("to", recipient->address)
        .Str("remote", result.remote)
        .Str("status", result.status);
    if (sent) {
      event.Str("reply", result.diagnostic);
    } else {
      event.Str("reason", result.diagnostic);
    }
  }
}

io::Task<std::unique_ptr<Connection>> Smtpc::TakeIdle(std::string key) {
  for (auto at = idle_.begin(); at != idle_.end(); ++at) {
    if (at->key != key) continue;
    std::unique_ptr<Connection> connection = std::move(at->connection);
    idle_.erase(at);
    if (co_await connection->StillGood()) co_return connection;
    at = idle_.begin();
    if (at == idle_.end()) break;
  }
  co_return nullptr;
}

void Smtpc::Keep(std::string key, std::unique_ptr<Connection> connection) {
  const config::Outbound& settings = service_.settings().outbound;
  const bool worn =
      settings.max_messages_per_connection > 0 &&
      connection->messages() >= static_cast<uint64_t>(settings.max_messages_per_connection);
  if (worn || stop_.is_set() || settings.idle_timeout <= absl::ZeroDuration()) return;
  if (idle_.size() >= kMaxIdle) idle_.pop_front();
  idle_.push_back({.key = std::move(key),
                   .connection = std::move(connection),
                   .until = service_.loop().After(settings.idle_timeout)});
}

io::Task<absl::Status> Smtpc::CloseIdle() {
  for (;;) {
    CO_RETURN_IF_ERROR(co_await io::Sleep(service_.loop().After(absl::Seconds(1))));
    while (!idle_.empty() && idle_.front().until <= service_.loop().Now()) {
      const std::unique_ptr<Connection> connection = std::move(idle_.front().connection);
      idle_.pop_front();
      co_await connection->Quit();
    }
  }
}

// An open connection, or the reply that refused it in `refusal` (code 0: there was none).
io::Task<absl::StatusOr<std::unique_ptr<Connection>>> Smtpc::Connect(const Target& target,
                                                                     bool lmtp,
                                                                     smtp::Reply& refusal) {
  io::Loop& loop = service_.loop();
  const config::Outbound& settings = service_.settings().outbound;
  const int family = !target.socket_path.empty() ? AF_UNIX
                     : target.address.ip.is_v6() ? AF_INET6
                                                 : AF_INET;
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) co_return ErrnoStatus(errno, "socket");
  const io::Deadline until = loop.After(settings.connect_timeout);
  absl::Status connected;
  if (family == AF_UNIX) {
    connected = co_await io::ConnectUnix(loop, fd.get(), target.socket_path, until);
  } else {
    connected = co_await io::Connect(loop, fd.get(), target.address, until);
  }
  if (!connected.ok()) {
    loop.Close(fd.release());
    co_return connected;
  }
  ++connections_;
  auto connection = std::make_unique<Connection>(
      loop, std::make_unique<io::Socket>(loop, std::move(fd)), target.ToString(), lmtp);
  CO_ASSIGN_OR_RETURN(const smtp::Reply reply,
                      co_await connection->Open(service_.settings().hostname, settings));
  if (!reply.positive()) {
    refusal = reply;
    co_await connection->Quit();
    co_return Unavailable(target.ToString(), ": ", reply.ToString());
  }
  co_return std::move(connection);
}

io::Task<Smtpc::Ended> Smtpc::Deliver(const Work& work) {
  const bool lmtp = work.job.transport == delivery::Transport::kLmtp;
  const Targets to = co_await resolver_.Resolve(work.job, service_.settings());
  if (to.targets.empty()) {
    Ended ended =
        AllFor(work, to.permanent ? delivery::Outcome::kFailed : delivery::Outcome::kDeferred,
               to.status, to.reason);
    if (!to.permanent) ended.destination = delivery::Destination::kUnreachable;
    co_return ended;
  }
  std::string reason;
  smtp::Reply refusal;
  bool all_refused = true;
  for (const Target& target : to.targets) {
    // A kept connection first; if it turns out to be dead, a fresh one to the same place.
    for (const bool fresh : {false, true}) {
      std::unique_ptr<Connection> connection;
      if (!fresh) {
        connection = co_await TakeIdle(target.Key());
        if (connection == nullptr) continue;
      } else {
        smtp::Reply said;
        auto connected = co_await Connect(target, lmtp, said);
        if (!connected.ok()) {
          if (absl::IsCancelled(connected.status()))
            co_return AllFor(work, delivery::Outcome::kDeferred, "4.3.2", "shutting down");
          reason = std::string(Message(connected.status()));
          log::Event(log::Severity::kNotice, log::kRemoteFailed)
              .Id(QueueId(work.job.queue_id))
              .Str("remote", target.ToString())
              .Str("reason", reason);
          if (said.code != 0) refusal = said;
          all_refused = all_refused && said.permanent();
          continue;
        }
        connection = *std::move(connected);
      }
      Transferred transferred =
          co_await Transfer(service_.loop(), *connection, work, service_.settings().outbound);
      if (transferred.reusable) {
        Keep(target.Key(), std::move(connection));
      }
      if (transferred.try_elsewhere) {
        reason = transferred.reason;
        all_refused = false;
        continue;
      }
      ++transferred_;
      Ended ended;
      ended.results = std::move(transferred.results);
      ended.destination =
          transferred.busy ? delivery::Destination::kBusy : delivery::Destination::kHealthy;
      ended.reason = transferred.reason.substr(0, protocol::kMaxReason);
      co_return ended;
    }
  }
  // Every host of the domain said 5yz to us at once: that is its word, not a failure of the
  // network.
  if (all_refused && refusal.permanent()) {
    Ended ended =
        AllFor(work, delivery::Outcome::kFailed,
               refusal.enhanced.present() ? refusal.enhanced.ToString() : "5.3.0", reason);
    co_return ended;
  }
  Ended ended = AllFor(work, delivery::Outcome::kDeferred, "4.4.1", reason);
  ended.destination =
      refusal.code != 0 ? delivery::Destination::kBusy : delivery::Destination::kUnreachable;
  co_return ended;
}

io::Task<absl::Status> Smtpc::Serve() {
  background_.Spawn(CloseIdle());
  const absl::Status stopped = co_await stop_.Wait(io::Deadline::Never());
  if (!stopped.ok()) jobs_.RequestStop();
  co_await jobs_.Join();
  IgnoreStatus(co_await io::Sleep(service_.loop().After(absl::Milliseconds(10))),
               "a moment for the last reports");
  background_.RequestStop();
  co_await background_.Join();
  for (const Idle& idle : idle_) co_await idle.connection->Quit();
  idle_.clear();
  edges_.RequestStop();
  co_await edges_.Join();
  co_return absl::OkStatus();
}

void Smtpc::Count(std::vector<protocol::control::Counter>& counters) {
  counters.push_back({.name = "jobs", .value = jobs_.running()});
  counters.push_back({.name = "idle", .value = idle_.size()});
  counters.push_back({.name = "connections", .value = connections_});
  counters.push_back({.name = "transferred", .value = transferred_});
}

}  // namespace postern::smtpc
