#include "daemons/smtpc/smtpc.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/functional/function_ref.h"
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

// A job under way, in the list of its qmgr's.
struct Smtpc::Running : io::ListNode {
  io::TaskScope scope;
  Ended ended;
  bool in_transaction = false;  // a server has heard of the message
};

class Smtpc::QmgrHandler final : public service::PeerHandler {
 public:
  explicit QmgrHandler(Smtpc& smtpc) : smtpc_(smtpc) {}

  void OnUp(ipc::Channel& channel) override {
    channel_ = &channel;
    ++generation_;
    SayCapacity(smtpc_.stop_.is_set() ? 0 : kCapacity);
  }
  // Its jobs are given out again by the qmgr that comes: what is brought meanwhile would arrive
  // twice.
  void OnDown(const absl::Status&) override {
    channel_ = nullptr;
    ++generation_;
    ForEachRunning([](Running& job) { job.scope.RequestStop(); });
  }
  void OnStop() {
    SayCapacity(0);
    ForEachRunning([](Running& job) {
      if (!job.in_transaction) job.scope.RequestStop();
    });
  }
  void SayCapacity(uint32_t jobs) {
    const delivery::Capacity capacity{.jobs = jobs};
    if (channel_ != nullptr)
      IgnoreStatus(channel_->Send(channel_->NewId(), capacity), "it is gone again");
  }
  io::ListNode& running() { return running_; }
  ipc::Channel* channel() const { return channel_; }
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
  void ForEachRunning(absl::FunctionRef<void(Running&)> visit) {
    for (io::ListNode* at = running_.next(); at != &running_; at = at->next())
      visit(*static_cast<Running*>(at));
  }

  Smtpc& smtpc_;
  ipc::Channel* channel_ = nullptr;
  uint64_t generation_ = 0;
  io::ListNode running_;
};

Smtpc::Smtpc(service::Service& service)
    : service_(service),
      settings_(std::make_shared<const config::Settings>(service.settings())),
      reach_(ReachOf(settings_->outbound)),
      resolvd_(service.loop(), edges_, protocol::kSmtpcResolvd, ipc::Side::kA,
               [](uint32_t, uint8_t) { return std::make_unique<ResolvdHandler>(); }),
      qmgr_(service.loop(), edges_, protocol::kQmgrSmtpc, ipc::Side::kB,
            [this](uint32_t, uint8_t) {
              auto handler = std::make_unique<QmgrHandler>(*this);
              qmgr_handlers_.push_back(handler.get());
              return handler;
            }),
      resolver_(service.loop(), [this] { return resolvd_.channel(0); }) {}

void Smtpc::OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) {
  using protocol::control::EdgeKind;
  if (which.kind == EdgeKind::kQmgrSmtpc)
    qmgr_.Attach(which.peer_index, which.peer_origin, std::move(end));
  if (which.kind == EdgeKind::kSmtpcResolvd)
    resolvd_.Attach(which.peer_index, which.peer_origin, std::move(end));
}

void Smtpc::OnReload() {
  settings_ = std::make_shared<const config::Settings>(service_.settings());
  // What a process may reach is settled when it confines itself. A directory of sockets that was
  // replaced since (its server was started anew) is seen by a new process alone.
  if (reach_.unix_sockets || !reach_.Covers(ReachOf(settings_->outbound))) service_.AskForRestart();
}

// No new jobs: what a server has heard of comes to its end; those that still look for a server
// would keep the stop waiting for one that may never answer.
void Smtpc::OnStop(io::Deadline) {
  stop_.Set();
  for (QmgrHandler* qmgr : qmgr_handlers_) qmgr->OnStop();
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
  Running running;
  running.LinkBefore(qmgr.running());
  running.scope.Spawn(DeliverInto(*work, running));
  co_await running.scope.Join();
  running.Unlink();
  const Ended& ended = running.ended;
  LogResults(*work, ended);
  ipc::Channel* channel = qmgr.channel(generation);
  if (channel == nullptr) co_return;  // a new qmgr gives the message out again
  const delivery::Results results{.results = ended.results};
  const delivery::JobDone done{.destination = ended.destination, .reason = ended.reason};
  IgnoreStatus(channel->Send(frame_id, results), "recipients without a result are deferred");
  IgnoreStatus(channel->Send(frame_id, done), "as above");
}

io::Task<void> Smtpc::DeliverInto(const Work& work, Running& running) {
  running.ended = co_await Deliver(work, running);
}

void Smtpc::LogFailure(const Work& work, const Target& target, std::string_view reason) const {
  log::Event(log::Severity::kNotice, log::kRemoteFailed)
      .Id(QueueId(work.job.queue_id))
      .Str("remote", target.ToString())
      .Str("reason", reason);
}

// What was refused for good is a failure of this host's; that the message bounces is for qmgr to
// say.
void Smtpc::LogResults(const Work& work, const Ended& ended) const {
  for (const delivery::Result& result : ended.results) {
    const auto recipient =
        std::find_if(work.job.recipients.begin(), work.job.recipients.end(),
                     [&](const delivery::JobRecipient& one) { return one.index == result.index; });
    if (recipient == work.job.recipients.end()) continue;
    const bool lmtp = work.job.transport == delivery::Transport::kLmtp;
    const bool sent = result.outcome == delivery::Outcome::kDelivered ||
                      result.outcome == delivery::Outcome::kRelayed;
    const bool deferred = result.outcome == delivery::Outcome::kDeferred;
    log::Event event(sent ? log::Severity::kInfo : log::Severity::kNotice,
                     sent       ? lmtp ? log::kMessageDelivered : log::kMessageRelayed
                     : deferred ? log::kMessageDeferred
                                : log::kRemoteFailed);
    event.Id(QueueId(work.job.queue_id)).Str("to", recipient->address);
    if (sent && lmtp) event.Str("via", "lmtp");
    event.Str("remote", result.remote)
        .Str("status", result.status)
        .Str(sent ? log::Key("reply") : log::Key("reason"), result.diagnostic);
  }
}

io::Task<std::unique_ptr<Connection>> Smtpc::TakeIdle(std::string key) {
  for (;;) {
    const auto at = std::find_if(idle_.begin(), idle_.end(),
                                 [&key](const Idle& idle) { return idle.key == key; });
    if (at == idle_.end()) co_return nullptr;
    std::unique_ptr<Connection> connection = std::move(at->connection);
    idle_.erase(at);
    if (co_await connection->StillGood()) co_return connection;
  }
}

void Smtpc::Keep(std::string key, std::unique_ptr<Connection> connection) {
  const config::Outbound& settings = settings_->outbound;
  const bool worn =
      settings.max_messages_per_connection > 0 &&
      connection->messages() >= static_cast<uint64_t>(settings.max_messages_per_connection);
  if (worn || stop_.is_set() || settings.idle_timeout <= absl::ZeroDuration()) {
    background_.Spawn(Part(std::move(connection)));
    return;
  }
  if (idle_.size() >= kMaxIdle) {
    background_.Spawn(Part(std::move(idle_.front().connection)));
    idle_.pop_front();
  }
  idle_.push_back({.key = std::move(key),
                   .connection = std::move(connection),
                   .until = service_.loop().After(settings.idle_timeout)});
}

// RFC 5321 §4.1.1.10: a client does not close before it has said QUIT.
io::Task<void> Smtpc::Part(std::unique_ptr<Connection> connection) { co_await connection->Quit(); }

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
io::Task<absl::StatusOr<std::unique_ptr<Connection>>> Smtpc::Connect(
    const Target& target, bool lmtp, const config::Settings& settings, smtp::Reply& refusal) {
  io::Loop& loop = service_.loop();
  const int family = !target.socket_path.empty() ? AF_UNIX
                     : target.address.ip.is_v6() ? AF_INET6
                                                 : AF_INET;
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) co_return ErrnoStatus(errno, "socket");
  const io::Deadline began = loop.Now();
  const io::Deadline until = began + settings.outbound.connect_timeout;
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
  log::Event(log::Severity::kInfo, log::kRemoteConnected)
      .Str("remote", target.ToString())
      .Ms("took", loop.Now() - began);
  auto connection = std::make_unique<Connection>(
      loop, std::make_unique<io::Socket>(loop, std::move(fd)), target.ToString(), lmtp);
  CO_ASSIGN_OR_RETURN(const smtp::Reply reply,
                      co_await connection->Open(settings.hostname, settings.outbound));
  if (!reply.positive()) {
    refusal = reply;
    co_await connection->Quit();
    co_return Unavailable(target.ToString(), ": ", reply.ToString());
  }
  co_return std::move(connection);
}

io::Task<Smtpc::Ended> Smtpc::Deliver(const Work& work, Running& running) {
  const bool lmtp = work.job.transport == delivery::Transport::kLmtp;
  const std::shared_ptr<const config::Settings> settings = settings_;
  const Targets to = co_await resolver_.Resolve(work.job, *settings);
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
  std::optional<Ended> deferred;  // what a host said that had no time, if no other does better
  const io::Deadline reach_until = service_.loop().After(kReachBudget);
  for (const Target& target : to.targets) {
    if (&target != &to.targets.front() && service_.loop().Now() >= reach_until) {
      all_refused = false;
      break;
    }
    // A kept connection first; if it turns out to be dead, a fresh one to the same place.
    for (const bool fresh : {false, true}) {
      std::unique_ptr<Connection> connection;
      if (!fresh) {
        connection = co_await TakeIdle(target.Key(lmtp));
        if (connection == nullptr) continue;
      } else {
        smtp::Reply said;
        auto connected = co_await Connect(target, lmtp, *settings, said);
        if (!connected.ok()) {
          if (absl::IsCancelled(connected.status()))
            co_return AllFor(work, delivery::Outcome::kDeferred, "4.3.2", "shutting down");
          reason = std::string(Message(connected.status()));
          // Of descriptors or memory we have none left, which says nothing about the destination.
          if (absl::IsResourceExhausted(connected.status()))
            co_return AllFor(work, delivery::Outcome::kDeferred, "4.3.2", reason);
          LogFailure(work, target, reason);
          if (said.code != 0) refusal = said;
          all_refused = all_refused && said.permanent();
          continue;
        }
        connection = *std::move(connected);
      }
      running.in_transaction = true;
      Transferred transferred =
          co_await Transfer(service_.loop(), *connection, work, settings->outbound);
      running.in_transaction = false;
      if (transferred.reusable) Keep(target.Key(lmtp), std::move(connection));
      if (transferred.try_elsewhere) {
        reason = transferred.reason;
        if (fresh) LogFailure(work, target, reason);
        all_refused = false;
        continue;
      }
      ++transferred_;
      Ended ended;
      ended.results = std::move(transferred.results);
      ended.destination =
          transferred.busy ? delivery::Destination::kBusy : delivery::Destination::kHealthy;
      ended.reason = transferred.reason.substr(0, protocol::kMaxReason);
      if (!transferred.mail_deferred) co_return ended;
      LogFailure(work, target, ended.reason);
      all_refused = false;
      deferred = std::move(ended);
      break;  // RFC 5321 §5.1: the next host, not this one once more
    }
  }
  if (deferred.has_value()) co_return *std::move(deferred);
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
  for (const QmgrHandler* qmgr : qmgr_handlers_) {
    if (ipc::Channel* channel = qmgr->channel(); channel != nullptr) {
      IgnoreStatus(co_await channel->WaitUntilFlushed(service_.loop().After(absl::Seconds(1))),
                   "recipients without a result are deferred");
    }
  }
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
