// daemons/smtpd/smtpd.h — the server process: listeners, sessions, and the edges to policyd and
// qmgr.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "common/io/listener.h"
#include "common/io/scope.h"
#include "common/io/socket.h"
#include "common/service/service.h"
#include "common/service/submission.h"
#include "daemons/smtpd/session.h"

namespace postern::smtpd {

class Smtpd final : public service::Daemon, public SessionHost {
 public:
  explicit Smtpd(service::Service& service);
  ~Smtpd() override;

  // service::Daemon
  void OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) override;
  void OnListener(const protocol::control::ListenerEnd& which, UniqueFd end) override;
  void OnReload() override;
  void OnListenerGone(const protocol::control::ListenerGone& which) override;
  void OnStop(io::Deadline until) override;
  io::Task<absl::Status> Serve() override;
  void Count(std::vector<protocol::control::Counter>& counters) override;

  // SessionHost
  const config::Settings& settings() const override { return service_.settings(); }
  io::Loop& loop() override { return service_.loop(); }
  io::Task<absl::StatusOr<protocol::policy::Verdict>> AskConnect(
      const protocol::policy::ConnectQuestion& question) override;
  io::Task<absl::StatusOr<protocol::policy::Verdict>> AskRecipient(
      const protocol::policy::RecipientQuestion& question) override;
  absl::StatusOr<std::unique_ptr<MessageSink>> Submit(
      const protocol::submission::Submit& submit,
      const std::vector<protocol::submission::Recipient>& recipients) override;
  QueueId NextQueueId() override;
  bool stopping() const override { return stopping_; }

 private:
  struct Live;
  struct Listening {
    protocol::control::ListenerKind kind;
    std::string name;
    std::unique_ptr<io::Listener> listener;
    io::TaskScope accepting;
  };

  // More than one worker: they take turns.
  size_t AcceptedAhead() const;
  io::Task<absl::Status> AcceptFrom(Listening& listening);
  io::Task<void> Forget(std::list<Listening>::iterator listening);
  io::Task<void> RunSession(io::Listener::Connection connection,
                            protocol::control::ListenerKind kind, std::string listener);
  service::QmgrHandler* PickQmgr();
  absl::StatusOr<Client> Identify(const io::Listener::Connection& connection,
                                  protocol::control::ListenerKind kind) const;

  service::Service& service_;
  QueueIdMaker ids_;
  io::TaskScope edges_;
  io::TaskScope forgetting_;
  io::TaskScope sessions_;
  service::PeerGroup policyd_;
  std::vector<service::QmgrHandler*> qmgr_handlers_;  // owned by qmgr_
  service::PeerGroup qmgr_;
  size_t next_qmgr_ = 0;
  std::list<Listening> listeners_;
  io::ListNode live_;
  bool stopping_ = false;
  bool serving_ = false;
  io::Event stop_;
  uint64_t connections_ = 0;
  uint64_t messages_ = 0;
};

}  // namespace postern::smtpd
