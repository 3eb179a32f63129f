#include "common/service/service.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "common/config/changes.h"
#include "common/config/parse.h"
#include "common/io/probe.h"
#include "common/log/log.h"

namespace postern::service {
namespace {

using protocol::control::Type;

// Reads exactly `octets`; a descriptor that comes along goes to `descriptor`.
absl::Status ReadExactly(char* to, size_t octets, UniqueFd& descriptor) {
  while (octets > 0) {
    iovec piece{to, octets};
    alignas(cmsghdr) char control[CMSG_LEN(sizeof(int))];
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(kControlFd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read from master");
    if (got == 0) return Unavailable("read from master: it is gone");
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
        header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
      descriptor.reset(fd);
    }
    to += got;
    octets -= static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

static_assert(static_cast<log::Severity>(config::LogLevel::kError) == log::Severity::kError);

log::SinkKind SinkOf(config::LogTarget target) {
  switch (target) {
    case config::LogTarget::kJournald:
      return log::SinkKind::kJournald;
    case config::LogTarget::kSyslog:
      return log::SinkKind::kSyslog;
    case config::LogTarget::kFile:
    case config::LogTarget::kStderr:
      break;
  }
  return log::SinkKind::kFile;
}

log::Format FormatOf(config::LogFormat format) {
  return format == config::LogFormat::kJson ? log::Format::kJson : log::Format::kPlain;
}

}  // namespace

// The control channel while the daemon runs.
class Service::Control final : public ipc::FrameHandler {
 public:
  Control(Service& service, Daemon& daemon)
      : service_(service),
        daemon_(daemon),
        channel_(*service.loop_, UniqueFd(kControlFd), protocol::kControl, ipc::Side::kB) {}

  ipc::Channel& channel() { return channel_; }
  io::Deadline stop_until() const { return stop_until_; }
  io::Event& stop_requested() { return stop_requested_; }

  io::Task<absl::Status> Serve() {
    const absl::Status ended = co_await channel_.Run(*this);
    // Without master nobody restarts or joins anybody: stop, at once.
    stop_until_ = service_.loop_->Now();
    if (!stop_requested_.is_set()) daemon_.OnStop(stop_until_);
    stop_requested_.Set();
    co_return ended;
  }

  absl::Status OnFrame(ipc::Frame& frame) override {
    switch (static_cast<Type>(frame.type)) {
      case Type::kEdgeEnd: {
        ASSIGN_OR_RETURN(const auto which, ipc::DecodeFrame<protocol::control::EdgeEnd>(frame));
        daemon_.OnEdge(which, std::move(frame.descriptor));
        return absl::OkStatus();
      }
      case Type::kListenerEnd: {
        ASSIGN_OR_RETURN(const auto which, ipc::DecodeFrame<protocol::control::ListenerEnd>(frame));
        daemon_.OnListener(which, std::move(frame.descriptor));
        return absl::OkStatus();
      }
      case Type::kListenerGone: {
        ASSIGN_OR_RETURN(const auto which,
                         ipc::DecodeFrame<protocol::control::ListenerGone>(frame));
        daemon_.OnListenerGone(which);
        return absl::OkStatus();
      }
      case Type::kLogEnd: {
        const config::Log& log = service_.settings_->log;
        log::Redirect(SinkOf(log.target), FormatOf(log.format), std::move(frame.descriptor));
        return absl::OkStatus();
      }
      case Type::kReload:
        return Reload(frame);
      case Type::kStop: {
        ASSIGN_OR_RETURN(const auto stop, ipc::DecodeFrame<protocol::control::Stop>(frame));
        stop_until_ = service_.loop_->After(absl::Milliseconds(stop.within_ms));
        daemon_.OnStop(stop_until_);
        stop_requested_.Set();
        return absl::OkStatus();
      }
      case Type::kPing: {
        protocol::control::Pong pong;
        daemon_.Count(pong.counters);
        return channel_.Send(frame.id, pong);
      }
      case Type::kDeliverEnd:
        return TakeDeliver(frame);
      default:
        return DataLoss("control: message type ", int{frame.type}, " after Begin");
    }
  }

  io::Task<absl::StatusOr<UniqueFd>> WantDeliver(const std::string& user, io::Deadline until);

 private:
  struct Asked {
    io::Event done;
    std::string error;
    UniqueFd end;
  };

  absl::Status Reload(ipc::Frame& frame) {
    ASSIGN_OR_RETURN(auto reload, ipc::DecodeFrame<protocol::control::Reload>(frame));
    protocol::control::Reloaded answer;
    service_.restart_asked_ = false;
    if (const absl::Status taken = service_.TakeConfiguration(reload.configuration); !taken.ok()) {
      answer.error = std::string(Message(taken)).substr(0, protocol::kMaxReason);
    } else {
      service_.configure_.configuration = std::move(reload.configuration);
      daemon_.OnReload();
      answer.restart = service_.restart_asked_;
    }
    return channel_.Send(frame.id, answer);
  }

  absl::Status TakeDeliver(ipc::Frame& frame) {
    ASSIGN_OR_RETURN(auto answer, ipc::DecodeFrame<protocol::control::DeliverEnd>(frame));
    const auto found = asked_.find(frame.id);
    if (found == asked_.end()) return absl::OkStatus();  // whoever asked has given up
    found->second->error = std::move(answer.error);
    found->second->end = std::move(frame.descriptor);
    found->second->done.Set();
    return absl::OkStatus();
  }

  Service& service_;
  Daemon& daemon_;
  ipc::Channel channel_;
  io::Deadline stop_until_;
  io::Event stop_requested_;
  std::unordered_map<uint32_t, Asked*> asked_;
};

io::Task<absl::StatusOr<UniqueFd>> Service::Control::WantDeliver(const std::string& user,
                                                                 io::Deadline until) {
  Asked asked;
  const uint32_t id = channel_.NewId();
  const protocol::control::WantDeliver want{.user = user};
  CO_RETURN_IF_ERROR(channel_.Send(id, want));
  asked_[id] = &asked;
  const absl::Status waited = co_await asked.done.Wait(until);
  asked_.erase(id);
  CO_RETURN_IF_ERROR(waited);
  if (!asked.end.valid()) co_return Unavailable("start a delivery as ", user, ": ", asked.error);
  co_return std::move(asked.end);
}

Service::Service() = default;
Service::Service(Service&&) noexcept = default;
Service::~Service() = default;

Service Service::Begin() {
  ::signal(SIGPIPE, SIG_IGN);
  // Stopping is master's word, on the control channel; a terminal's Ctrl-C reaches all of a group.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  Service service;
  if (const absl::Status read = service.ReadStart(); !read.ok()) service.Fail(read, "start");
  return service;
}

absl::Status Service::ReadStart() {
  ipc::Conversations conversations(protocol::kControl);
  for (;;) {
    char head[ipc::kFrameHeaderOctets];
    UniqueFd descriptor;
    RETURN_IF_ERROR(ReadExactly(head, sizeof head, descriptor));
    const Parsed<ipc::FrameHeader> header = ipc::ParseFrameHeader(
        std::string_view(head, sizeof head), protocol::kControl.max_payload_octets);
    if (!header.has_value()) return DataLoss("control: ", header.error().reason);
    std::string payload(header->payload_octets, '\0');
    RETURN_IF_ERROR(ReadExactly(payload.data(), payload.size(), descriptor));
    if (const auto rule = conversations.Advance(ipc::Side::kA, header->type, header->id);
        !rule.has_value()) {
      return DataLoss("control: ", rule.error().reason);
    }
    ipc::Frame frame{.type = header->type,
                     .id = header->id,
                     .payload = payload,
                     .descriptor = std::move(descriptor)};
    switch (static_cast<Type>(frame.type)) {
      case Type::kConfigure: {
        ASSIGN_OR_RETURN(configure_, ipc::DecodeFrame<protocol::control::Configure>(frame));
        RETURN_IF_ERROR(TakeConfiguration(configure_.configuration));
        break;
      }
      case Type::kEdgeEnd: {
        ASSIGN_OR_RETURN(auto which, ipc::DecodeFrame<protocol::control::EdgeEnd>(frame));
        edges_.emplace_back(which, std::move(frame.descriptor));
        break;
      }
      case Type::kListenerEnd: {
        ASSIGN_OR_RETURN(auto which, ipc::DecodeFrame<protocol::control::ListenerEnd>(frame));
        listeners_.emplace_back(std::move(which), std::move(frame.descriptor));
        break;
      }
      case Type::kLogEnd:
        log_end_ = std::move(frame.descriptor);
        break;
      case Type::kBegin:
        break;
      default:
        return DataLoss("control: message type ", int{frame.type}, " before Begin");
    }
    if (static_cast<Type>(frame.type) == Type::kBegin) break;
  }
  if (settings_ == nullptr) return DataLoss("control: no configuration before Begin");
  missing_ = sandbox::MissingLayers(settings_->master.allow_missing);
  log::Options options;
  options.sink = SinkOf(settings_->log.target);
  options.format = FormatOf(settings_->log.format);
  options.minimum = static_cast<log::Severity>(settings_->log.level);
  options.fd = std::move(log_end_);
  options.daemon = protocol::control::RoleName(configure_.role);
  options.index = static_cast<int>(configure_.index);
  log::Init(std::move(options));
  const bool uring = settings_->io != config::IoBackend::kEpoll &&
                     (settings_->io == config::IoBackend::kUring || io::UringWorks());
  backend_ = uring ? sandbox::Backend::kUring : sandbox::Backend::kEpoll;
  return absl::OkStatus();
}

absl::Status Service::TakeConfiguration(const protocol::control::Configuration& configuration) {
  const auto parse = [&](const std::string& toml) -> absl::StatusOr<config::Settings> {
    config::Outcome outcome =
        config::Parse(toml, configuration.file_name, configuration.base_directory);
    if (outcome.ok()) return *std::move(outcome.settings);
    return InvalidArgument(outcome.problems.empty() ? "the configuration is refused"
                                                    : outcome.problems.front().ToString());
  };
  ASSIGN_OR_RETURN(config::Settings settings, parse(configuration.toml));
  if (!configuration.started_toml.empty()) {
    ASSIGN_OR_RETURN(const config::Settings started, parse(configuration.started_toml));
    config::KeepStarted(started, settings);
  }
  settings_ = std::make_shared<const config::Settings>(std::move(settings));
  log::SetMinimum(static_cast<log::Severity>(settings_->log.level));
  return absl::OkStatus();
}

void Service::Fail(const absl::Status& why, std::string_view stage) {
  log::Event(log::Severity::kError, log::kDaemonFailed).Str("stage", stage).Error(why);
  log::Flush();
  // Before the first Ready nobody may have looked at the log yet.
  if (settings_ != nullptr && settings_->log.target != config::LogTarget::kStderr) {
    const std::string line =
        StrCat("postern: ", std::string_view(protocol::control::RoleName(role())), ": ",
               Message(why), "\n");
    if (::write(STDERR_FILENO, line.data(), line.size()) < 0) {
      // The log has it.
    }
  }
  std::exit(1);
}

int Service::Run(Daemon& daemon) {
  const absl::Status ended = loop_->Run(Main(daemon));
  if (!ended.ok() && !absl::IsCancelled(ended)) {
    log::Event(log::Severity::kError, log::kDaemonFailed).Error(ended);
    log::Flush();
    return 1;
  }
  log::Event(log::Severity::kInfo, log::kDaemonStopped).Int("status", 0);
  log::Flush();
  return 0;
}

namespace {

// Notes when the daemon's work is over, however it ended.
io::Task<absl::Status> ServeAndTell(Daemon& daemon, io::Event& done) {
  const absl::Status ended = co_await daemon.Serve();
  done.Set();
  co_return ended;
}

}  // namespace

io::Task<absl::Status> Service::Main(Daemon& daemon) {
  control_ = std::make_unique<Control>(*this, daemon);
  for (auto& [which, end] : edges_) daemon.OnEdge(which, std::move(end));
  for (auto& [which, end] : listeners_) daemon.OnListener(which, std::move(end));
  edges_.clear();
  listeners_.clear();
  io::TaskScope control_scope;
  io::TaskScope work;
  io::Event done;
  control_scope.Spawn(control_->Serve());
  work.Spawn(ServeAndTell(daemon, done));
  const protocol::control::Ready ready{.backend = std::string(loop_->backend_name()),
                                       .layers = layers_};
  IgnoreStatus(control_->channel().Send(control_->channel().NewId(), ready),
               "a master that is gone stops us");
  // Until the daemon's work ends by itself, or the time for that is over.
  while (!done.is_set()) {
    if (!control_->stop_requested().is_set()) {
      // Either may come first; both wake this.
      io::TaskScope waits;
      waits.Spawn([](io::Event& event) -> io::Task<absl::Status> {
        co_return co_await event.Wait(io::Deadline::Never());
      }(done));
      waits.Spawn([](io::Event& event) -> io::Task<absl::Status> {
        co_return co_await event.Wait(io::Deadline::Never());
      }(control_->stop_requested()));
      IgnoreStatus(co_await waits.WaitBelow(2, io::Deadline::Never()), "only its end counts");
      waits.RequestStop();
      co_await waits.Join();
    } else {
      IgnoreStatus(co_await done.Wait(control_->stop_until()), "its time is over then");
      break;
    }
  }
  work.RequestStop();
  const absl::Status ended = co_await work.JoinOrCancel();
  IgnoreStatus(co_await control_->channel().WaitUntilFlushed(loop_->After(absl::Seconds(1))),
               "a last word only");
  control_->channel().Close();
  co_await control_scope.Join();
  co_await io::YieldTurn();
  control_.reset();
  co_return ended;
}

io::Task<absl::StatusOr<UniqueFd>> Service::WantDeliver(const std::string& user,
                                                        io::Deadline until) {
  co_return co_await control_->WantDeliver(user, until);
}

void PeerGroup::Attach(uint32_t index, uint8_t origin, UniqueFd end) {
  for (One& one : peers_) {
    if (one.index != index) continue;
    one.peer->Attach(std::move(end));
    return;
  }
  One& one = peers_.emplace_back();
  one.index = index;
  one.handler = make_(index, origin);
  one.peer = std::make_unique<ipc::Peer>(loop_, edge_, self_, *one.handler);
  PeerHandler* handler = one.handler.get();
  ipc::Peer* peer = one.peer.get();
  const char* edge_name = edge_.name;
  one.peer->Attach(std::move(end));
  scope_.Spawn(peer->Serve([handler, peer, edge_name](const absl::Status& why, bool present) {
    if (present) {
      handler->OnUp(*peer->channel());
      return;
    }
    if (!why.ok() && !absl::IsCancelled(why)) {
      log::Event(log::Severity::kWarning, log::kIncidentFrame).Str("edge", edge_name).Error(why);
    }
    handler->OnDown(why);
  }));
}

ipc::Channel* PeerGroup::channel(uint32_t index) const {
  for (const One& one : peers_) {
    if (one.index == index) return one.peer->channel();
  }
  return nullptr;
}

io::Task<void> PeerGroup::WaitUntilFlushed(io::Deadline until) {
  for (size_t i = 0; i < peers_.size(); ++i) {
    if (ipc::Channel* channel = peers_[i].peer->channel(); channel != nullptr)
      IgnoreStatus(co_await channel->WaitUntilFlushed(until), "it hears nothing more of us then");
  }
}

ipc::Channel* PeerGroup::Next() {
  for (size_t i = 0; i < peers_.size(); ++i) {
    last_ = (last_ + 1) % peers_.size();
    if (ipc::Channel* channel = peers_[last_].peer->channel(); channel != nullptr) return channel;
  }
  return nullptr;
}

}  // namespace postern::service
