#include "daemons/smtpd/smtpd.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "common/log/log.h"

namespace postern::smtpd {
namespace {

// policyd answers from memory; longer means that it hangs.
constexpr absl::Duration kPolicyTimeout = absl::Seconds(60);
// Before the time for an orderly end is over: for 421 to those who are still there.
constexpr absl::Duration kLastWord = absl::Milliseconds(500);
// After "no descriptor left": time for sessions to end.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

// policyd's answers are taken by the calls that wait for them; anything else is out of place.
class PolicydHandler final : public service::PeerHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override {
    return DataLoss("unexpected message type ", int{frame.type});
  }
};

// A message at one qmgr.
class QueueSink final : public MessageSink {
 public:
  explicit QueueSink(service::QmgrHandler& qmgr) : submission_(qmgr) {}

  absl::Status Begin(const protocol::submission::Submit& submit,
                     const std::vector<protocol::submission::Recipient>& recipients) {
    return submission_.Begin(submit, recipients);
  }
  io::Task<absl::Status> Write(std::string_view content, io::Deadline until) override {
    return submission_.Write(content, until);
  }
  io::Task<absl::Status> Finish(io::Deadline until) override { return submission_.Finish(until); }
  void Cancel() override { submission_.Cancel(); }
  const protocol::ReplyText& refusal() const override { return submission_.refusal(); }

 private:
  service::Submission submission_;
};

}  // namespace

// A session under way, in the list of all.
struct Smtpd::Live : io::ListNode {
  Live(Smtpd& smtpd, io::Socket socket, Client client)
      : stream(std::move(socket)), session(smtpd, stream, std::move(client)) {
    LinkBefore(smtpd.live_);
  }
  io::Socket stream;
  Session session;
};

Smtpd::Smtpd(service::Service& service)
    : service_(service),
      ids_(service.origin()),
      policyd_(service.loop(), edges_, protocol::kSmtpdPolicyd, ipc::Side::kA,
               [](uint32_t, uint8_t) { return std::make_unique<PolicydHandler>(); }),
      qmgr_(service.loop(), edges_, protocol::kSmtpdQmgr, ipc::Side::kA, [this](uint32_t, uint8_t) {
        auto handler = std::make_unique<service::QmgrHandler>();
        qmgr_handlers_.push_back(handler.get());
        return handler;
      }) {}

Smtpd::~Smtpd() = default;

void Smtpd::OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) {
  switch (which.kind) {
    case protocol::control::EdgeKind::kSmtpdPolicyd:
      policyd_.Attach(which.peer_index, which.peer_origin, std::move(end));
      break;
    case protocol::control::EdgeKind::kSmtpdQmgr:
      qmgr_.Attach(which.peer_index, which.peer_origin, std::move(end));
      break;
    default:
      break;  // closed again
  }
}

void Smtpd::OnListener(const protocol::control::ListenerEnd& which, UniqueFd end) {
  Listening& listening = listeners_.emplace_back();
  listening.kind = which.kind;
  listening.name = which.name;
  const bool named = which.kind == protocol::control::ListenerKind::kSmtp;
  listening.listener = std::make_unique<io::Listener>(
      service_.loop(), std::move(end),
      named ? io::Listener::Peers::kNamed : io::Listener::Peers::kUnnamed);
  listening.listener->set_accepted_ahead(AcceptedAhead());
  if (serving_ && !stopping_) listening.accepting.Spawn(AcceptFrom(listening));
}

size_t Smtpd::AcceptedAhead() const {
  return settings().smtp.workers > 1 ? 1 : io::Listener::kMaxAcceptedAhead;
}

void Smtpd::OnReload() {
  for (Listening& listening : listeners_) listening.listener->set_accepted_ahead(AcceptedAhead());
}

void Smtpd::OnListenerGone(const protocol::control::ListenerGone& which) {
  for (auto at = listeners_.begin(); at != listeners_.end(); ++at) {
    if (at->name != which.name || at->accepting.stop_requested()) continue;
    at->accepting.RequestStop();
    if (!stopping_) forgetting_.Spawn(Forget(at));
  }
}

io::Task<void> Smtpd::Forget(std::list<Listening>::iterator listening) {
  co_await listening->accepting.Join();
  listeners_.erase(listening);
}

void Smtpd::OnStop(io::Deadline until) {
  stopping_ = true;
  stop_.Set();
  // Idle sessions hear that we go; the others finish their message first, if there is time.
  for (io::ListNode* at = live_.next(); at != &live_; at = at->next()) {
    auto* live = static_cast<Live*>(at);
    live->session.EndBy(until + -kLastWord);
    live->stream.Interrupt();
  }
}

io::Task<absl::Status> Smtpd::Serve() {
  serving_ = true;
  for (Listening& listening : listeners_) listening.accepting.Spawn(AcceptFrom(listening));
  const absl::Status stopped = co_await stop_.Wait(io::Deadline::Never());
  co_await forgetting_.Join();
  for (Listening& listening : listeners_) listening.accepting.RequestStop();
  for (Listening& listening : listeners_) co_await listening.accepting.Join();
  listeners_.clear();
  if (!stopped.ok()) sessions_.RequestStop();
  co_await sessions_.Join();
  edges_.RequestStop();
  co_await edges_.Join();
  co_return absl::OkStatus();
}

io::Task<absl::Status> Smtpd::AcceptFrom(Listening& listening) {
  for (;;) {
    absl::StatusOr<io::Listener::Connection> connection =
        co_await listening.listener->Accept(io::Deadline::Never());
    if (absl::IsCancelled(connection.status())) co_return connection.status();
    if (!connection.ok()) {
      log::Event(log::Severity::kWarning, log::kDaemonFailed)
          .Str("stage", "accept")
          .Error(connection.status());
      CO_RETURN_IF_ERROR(co_await io::Sleep(service_.loop().After(kAcceptPause)));
      continue;
    }
    sessions_.Spawn(RunSession(*std::move(connection), listening.kind, listening.name));
  }
}

absl::StatusOr<Client> Smtpd::Identify(const io::Listener::Connection& connection,
                                       protocol::control::ListenerKind kind) const {
  if (kind == protocol::control::ListenerKind::kSmtp)
    return Client{.address = connection.peer, .local_user = {}};
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(connection.fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
    return ErrnoStatus(errno, "peer credentials");
  for (const protocol::control::Account& account : service_.accounts()) {
    if (account.uid == credentials.uid) return Client{.address = {}, .local_user = account.name};
  }
  return Client{.address = {}, .local_user = "uid" + std::to_string(credentials.uid)};
}

io::Task<void> Smtpd::RunSession(io::Listener::Connection connection,
                                 protocol::control::ListenerKind kind, std::string listener) {
  const io::Deadline began = service_.loop().Now();
  absl::StatusOr<Client> client = Identify(connection, kind);
  if (!client.ok()) {
    service_.loop().Close(connection.fd.release());  // gone before we looked
    co_return;
  }
  io::Socket socket(service_.loop(), std::move(connection.fd));
  ++connections_;
  const std::string who =
      client->local() ? "user " + client->local_user : client->address.ip.ToString();
  log::Event(log::Severity::kInfo, log::kSmtpConnected)
      .Str("client", who)
      .Str("listener", listener);
  if (sessions_.running() > static_cast<size_t>(settings().smtp.max_connections)) {
    log::Event(log::Severity::kNotice, log::kSmtpDeferred)
        .Str("client", who)
        .Str("stage", "connect")
        .Int("code", 421)
        .Str("reason", "smtp.max_connections is reached");
    const std::string reply = smtp::FormatReply(smtp::kBusy.Get());
    IgnoreStatus(co_await socket.Send(reply, service_.loop().After(absl::Seconds(10))),
                 "it is sent away in any case");
    co_return;
  }
  const protocol::policy::Disconnected goodbye{.client = protocol::Ip::From(client->address.ip)};
  Live live(*this, std::move(socket), *std::move(client));
  co_await live.session.Serve();
  if (live.session.accepted_by_policy()) {
    if (ipc::Channel* channel = policyd_.channel(0); channel != nullptr) {
      IgnoreStatus(channel->Send(channel->NewId(), goodbye), "a policyd that is gone counts anew");
    }
  }
  const Session::Counters& counted = live.session.counters();
  messages_ += counted.messages;
  log::Event(log::Severity::kInfo, log::kSmtpDisconnected)
      .Str("client", who)
      .Int("commands", counted.commands)
      .Int("messages", counted.messages)
      .Ms("took", service_.loop().Now() - began);
}

io::Task<absl::StatusOr<protocol::policy::Verdict>> Smtpd::AskConnect(
    const protocol::policy::ConnectQuestion& question) {
  ipc::Channel* channel = policyd_.channel(0);
  if (channel == nullptr) co_return Unavailable("no policy process");
  co_return co_await channel->Call<protocol::policy::Verdict>(
      question, service_.loop().After(kPolicyTimeout));
}

io::Task<absl::StatusOr<protocol::policy::Verdict>> Smtpd::AskRecipient(
    const protocol::policy::RecipientQuestion& question) {
  ipc::Channel* channel = policyd_.channel(0);
  if (channel == nullptr) co_return Unavailable("no policy process");
  co_return co_await channel->Call<protocol::policy::Verdict>(
      question, service_.loop().After(kPolicyTimeout));
}

service::QmgrHandler* Smtpd::PickQmgr() {
  for (size_t i = 0; i < qmgr_handlers_.size(); ++i) {
    next_qmgr_ = (next_qmgr_ + 1) % qmgr_handlers_.size();
    service::QmgrHandler* handler = qmgr_handlers_[next_qmgr_];
    if (handler->channel() != nullptr && handler->channel()->HasRoom()) return handler;
  }
  return nullptr;
}

absl::StatusOr<std::unique_ptr<MessageSink>> Smtpd::Submit(
    const protocol::submission::Submit& submit,
    const std::vector<protocol::submission::Recipient>& recipients) {
  service::QmgrHandler* qmgr = PickQmgr();
  if (qmgr == nullptr) return Unavailable("no queue manager");
  auto sink = std::make_unique<QueueSink>(*qmgr);
  RETURN_IF_ERROR(sink->Begin(submit, recipients));
  return std::unique_ptr<MessageSink>(std::move(sink));
}

QueueId Smtpd::NextQueueId() { return ids_.Next(absl::ToUnixMillis(service_.loop().WallTime())); }

void Smtpd::Count(std::vector<protocol::control::Counter>& counters) {
  counters.push_back({.name = "sessions", .value = sessions_.running()});
  counters.push_back({.name = "connections", .value = connections_});
  counters.push_back({.name = "messages", .value = messages_});
}

}  // namespace postern::smtpd
