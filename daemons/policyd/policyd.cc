#include "daemons/policyd/policyd.h"

#include <algorithm>

#include "common/log/log.h"

namespace postern::policyd {

namespace policy = protocol::policy;

// One smtpd. Its connections are counted apart, so that they can be forgotten when it dies.
class Policyd::SmtpdHandler final : public service::PeerHandler {
 public:
  explicit SmtpdHandler(Policyd& policyd) : policyd_(policyd) {}

  void OnUp(ipc::Channel& channel) override { channel_ = &channel; }
  void OnDown(const absl::Status&) override {
    channel_ = nullptr;
    for (const IpAddress& client : clients_) policyd_.connections_.Remove(client);
    clients_.clear();
  }

  absl::Status OnFrame(ipc::Frame& frame) override {
    switch (frame.type) {
      case policy::kConnectQuestion: {
        ASSIGN_OR_RETURN(const auto question, ipc::DecodeFrame<policy::ConnectQuestion>(frame));
        const IpAddress client = question.client.ToAddress();
        const policy::Verdict verdict = policyd_.OnConnect(client);
        if (verdict.decision == policy::Decision::kAccept &&
            client.family() != IpAddress::Family::kNone) {
          clients_.push_back(client);
        }
        return channel_->Send(frame.id, verdict);
      }
      case policy::kDisconnected: {
        ASSIGN_OR_RETURN(const auto gone, ipc::DecodeFrame<policy::Disconnected>(frame));
        const IpAddress client = gone.client.ToAddress();
        // Only connections it was granted: it cannot free those of another smtpd.
        const auto found = std::find(clients_.begin(), clients_.end(), client);
        if (found == clients_.end()) return absl::OkStatus();
        std::swap(*found, clients_.back());
        clients_.pop_back();
        policyd_.connections_.Remove(client);
        return absl::OkStatus();
      }
      case policy::kRecipientQuestion: {
        ASSIGN_OR_RETURN(const auto question, ipc::DecodeFrame<policy::RecipientQuestion>(frame));
        ++policyd_.questions_;
        return channel_->Send(frame.id, policyd_.rules_->Decide(question));
      }
      default:
        return DataLoss("unexpected message type ", int{frame.type});
    }
  }

 private:
  Policyd& policyd_;
  ipc::Channel* channel_ = nullptr;
  std::vector<IpAddress> clients_;
};

Policyd::Policyd(service::Service& service)
    : service_(service),
      rules_(std::make_unique<Rules>(service.settings(), service.accounts())),
      smtpd_(service.loop(), edges_, protocol::kSmtpdPolicyd, ipc::Side::kB,
             [this](uint32_t, uint8_t) { return std::make_unique<SmtpdHandler>(*this); }) {}

void Policyd::OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) {
  if (which.kind != protocol::control::EdgeKind::kSmtpdPolicyd) return;
  smtpd_.Attach(which.peer_index, which.peer_origin, std::move(end));
}

void Policyd::OnReload() {
  rules_ = std::make_unique<Rules>(service_.settings(), service_.accounts());
}

policy::Verdict Policyd::OnConnect(const IpAddress& client) {
  policy::Verdict verdict;
  if (client.family() == IpAddress::Family::kNone ||
      connections_.Add(client, rules_->max_connections_per_client())) {
    verdict.decision = policy::Decision::kAccept;
    return verdict;
  }
  verdict.decision = policy::Decision::kDefer;
  verdict.reply = {.code = 421,
                   .enhanced = "4.7.0",
                   .text = "too many connections from your address, try again later"};
  verdict.reason = "smtp.max_connections_per_client is reached";
  return verdict;
}

io::Task<absl::Status> Policyd::Serve() {
  IgnoreStatus(co_await stop_.Wait(io::Deadline::Never()), "stop or cancel end it alike");
  edges_.RequestStop();
  co_await edges_.Join();
  co_return absl::OkStatus();
}

void Policyd::Count(std::vector<protocol::control::Counter>& counters) {
  counters.push_back({.name = "questions", .value = questions_});
  counters.push_back({.name = "clients", .value = connections_.clients()});
}

}  // namespace postern::policyd
