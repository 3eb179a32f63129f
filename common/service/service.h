// common/service/service.h — what every daemon's main does: take what master gives, become
// confined, run until told to stop.
//
//   int main() {
//     service::Service service = service::Service::Begin();
//     ... open what must be opened before the confinement ...
//     service.Confine(sandbox::PolicydProfile(service.backend()), {});
//     policyd::Policyd daemon(service);
//     return service.Run(daemon);
//   }
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/config/settings.h"
#include "common/io/loop.h"
#include "common/io/scope.h"
#include "common/ipc/channel.h"
#include "common/ipc/protocol/control.h"
#include "sandbox/confine.h"
#include "sandbox/missing.h"
#include "sandbox/namespaces.h"
#include "sandbox/profile.h"

namespace postern::service {

// The descriptor on which master starts every daemon.
inline constexpr int kControlFd = 3;

// What a daemon does. Everything runs on the loop's one thread.
class Daemon {
 public:
  virtual ~Daemon() = default;
  // An end of an edge: at start, and again when the neighbour was restarted.
  virtual void OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) = 0;
  virtual void OnListener(const protocol::control::ListenerEnd&, UniqueFd) {}
  // Take nothing more from the listener of that name; connections that came from it stay.
  virtual void OnListenerGone(const protocol::control::ListenerGone&) {}
  // The settings of `service` are the new ones already. What only a new process can take on: say so
  // with Service::AskForRestart; OnStop follows.
  virtual void OnReload() {}
  // Take nothing new; Serve is to return once what is in hand is done, at the latest at `until`,
  // when it is cancelled.
  virtual void OnStop(io::Deadline until) = 0;
  // Runs until OnStop has been followed by the end of the work, or until cancelled.
  virtual io::Task<absl::Status> Serve() = 0;
  // For `postern ps`.
  virtual void Count(std::vector<protocol::control::Counter>&) {}
};

class Service {
 public:
  // Reads what master sends up to Begin, and starts the log. Ends the process if that fails.
  static Service Begin();
  Service(Service&&) noexcept;
  ~Service();

  protocol::control::Role role() const { return configure_.role; }
  uint32_t index() const { return configure_.index; }
  uint8_t origin() const { return configure_.origin; }
  const config::Settings& settings() const { return *settings_; }
  const std::vector<protocol::control::Account>& accounts() const {
    return configure_.configuration.accounts;
  }
  sandbox::Backend backend() const { return backend_; }

  // The role's user while the result lives, for what must be opened as that user before the
  // confinement.
  sandbox::BorrowedIdentity BorrowIdentity();
  // The first layer, before the confinement: for what is opened only when nothing else can be seen
  // any more. False: it is missing, nothing has changed, and Confine judges whether it may be.
  // What was opened before leads to the old root still.
  bool EnterNamespaces(const sandbox::Namespaces& namespaces);
  // What root looks like to SO_PEERCRED from in here, once namespaces are entered: where only our
  // own id is mapped, like anybody else.
  uid_t root_uid() const { return root_uid_; }
  // Becomes the role's user before the rest of the confinement.
  void DropIdentity();
  // All layers of the profile, then the loop. Ends the process if any fails, or is missing and may
  // not be.
  void Confine(const sandbox::Profile& profile, io::LoopOptions options);
  io::Loop& loop() { return *loop_; }

  // Serves; the process's exit status.
  int Run(Daemon& daemon);

  // locald: asks master for a `deliver` as `user`; its end of the edge.
  io::Task<absl::StatusOr<UniqueFd>> WantDeliver(const std::string& user, io::Deadline until);

  // In OnReload: this process goes on as it was, is then told to stop, and a new one takes over.
  void AskForRestart() { restart_asked_ = true; }

  // Says why, in the log and to whoever started the server, and ends the process with status 1.
  [[noreturn]] void Fail(const absl::Status& why, std::string_view stage);

 private:
  class Control;
  struct StartEnd;
  Service();
  absl::Status ReadStart();
  absl::Status TakeConfiguration(const protocol::control::Configuration& configuration);
  io::Task<absl::Status> Main(Daemon& daemon);
  sandbox::Identity identity() const;
  void TellMissing();

  protocol::control::Configure configure_;
  std::shared_ptr<const config::Settings> settings_;
  std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>> edges_;
  std::vector<std::pair<protocol::control::ListenerEnd, UniqueFd>> listeners_;
  UniqueFd log_end_;
  sandbox::Backend backend_ = sandbox::Backend::kEpoll;
  sandbox::MissingLayers missing_{{}};
  bool namespaces_tried_ = false;
  int namespaces_entered_ = 0;
  uid_t root_uid_ = 0;
  bool identity_dropped_ = false;
  bool restart_asked_ = false;
  std::string layers_;
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<Control> control_;
};

// The neighbours of one kind: a worker or shard each, with a handler of its own that lives on when
// the channel behind it is replaced.
class PeerHandler : public ipc::FrameHandler {
 public:
  virtual void OnUp(ipc::Channel&) {}
  // `why` is OK when the peer just went away.
  virtual void OnDown(const absl::Status&) {}
};

class PeerGroup {
 public:
  using MakeHandler = std::function<std::unique_ptr<PeerHandler>(uint32_t index, uint8_t origin)>;
  // All must outlive the group; its tasks run in `scope`.
  PeerGroup(io::Loop& loop, io::TaskScope& scope, const ipc::Edge& edge, ipc::Side self,
            MakeHandler make)
      : loop_(loop), scope_(scope), edge_(edge), self_(self), make_(std::move(make)) {}

  void Attach(uint32_t index, uint8_t origin, UniqueFd end);
  // nullptr while away.
  ipc::Channel* channel(uint32_t index) const;
  // The present peer after the one chosen last, so that work spreads over them; nullptr: none is
  // there.
  ipc::Channel* Next();
  size_t size() const { return peers_.size(); }
  // Until what was said to each peer has left, or the peer is gone.
  io::Task<void> WaitUntilFlushed(io::Deadline until);

 private:
  struct One {
    uint32_t index;
    std::unique_ptr<PeerHandler> handler;
    std::unique_ptr<ipc::Peer> peer;
  };
  io::Loop& loop_;
  io::TaskScope& scope_;
  const ipc::Edge& edge_;
  const ipc::Side self_;
  MakeHandler make_;
  std::vector<One> peers_;
  size_t last_ = 0;
};

}  // namespace postern::service
