#include "daemons/resolvd/resolvd.h"

#include <utility>

#include "common/ipc/protocol/smtpc_resolvd.h"
#include "common/log/log.h"
#include "daemons/resolvd/translate.h"

namespace postern::resolvd {

namespace wire = protocol::dns;

// One smtpc. Its questions are tasks of their own; an answer whose channel is gone is dropped.
class Resolvd::SmtpcHandler final : public service::PeerHandler {
 public:
  explicit SmtpcHandler(Resolvd& resolvd) : resolvd_(resolvd) {}

  void OnUp(ipc::Channel& channel) override {
    channel_ = &channel;
    ++generation_;
  }
  void OnDown(const absl::Status&) override { channel_ = nullptr; }

  absl::Status OnFrame(ipc::Frame& frame) override {
    ASSIGN_OR_RETURN(const auto question, ipc::DecodeFrame<wire::Question>(frame));
    const std::optional<dns::Type> type = TypeOf(question.type);
    if (!type.has_value())
      return DataLoss("question of type ", static_cast<int>(question.type), " is not provided for");
    ++resolvd_.questions_;
    Parsed<dns::Name> name = dns::Name::FromText(question.name);
    if (!name.has_value()) return channel_->Send(frame.id, NotAName(question.name, name.error()));
    resolvd_.edges_.Spawn(Answer(*this, generation_, frame.id, *std::move(name), *type));
    return absl::OkStatus();
  }

 private:
  static io::Task<absl::Status> Answer(SmtpcHandler& self, uint64_t generation, uint32_t id,
                                       dns::Name name, dns::Type type) {
    const dns::Answer answer =
        co_await self.resolvd_.lookups_.Lookup(name, type, io::Deadline::Never());
    if (answer.status == dns::Status::kTemporaryFailure) {
      ++self.resolvd_.failures_;
      log::Event(log::Severity::kInfo, log::kDnsFailed)
          .Str("name", name.ToText())
          .Str("type", dns::TypeName(type))
          .Str("reason", answer.reason);
    }
    if (self.channel_ == nullptr || self.generation_ != generation) co_return absl::OkStatus();
    IgnoreStatus(self.channel_->Send(id, ToMessage(answer, type)), "a peer that is gone asks anew");
    co_return absl::OkStatus();
  }

  Resolvd& resolvd_;
  ipc::Channel* channel_ = nullptr;
  uint64_t generation_ = 0;
};

namespace {

bool NeedsRestart(const config::Dns& before, const config::Dns& now) {
  return before.mode != now.mode || before.servers != now.servers ||
         before.insecure_domains != now.insecure_domains ||
         before.trust_anchor != now.trust_anchor || before.trust_ad != now.trust_ad ||
         before.cache_octets != now.cache_octets;
}

}  // namespace

Resolvd::Resolvd(service::Service& service, Resolver& resolver)
    : service_(service),
      started_with_(service.settings().dns),
      lookups_(service.loop(), resolver, service.settings().dns.timeout),
      smtpc_(service.loop(), edges_, protocol::kSmtpcResolvd, ipc::Side::kB,
             [this](uint32_t, uint8_t) { return std::make_unique<SmtpcHandler>(*this); }) {}

void Resolvd::OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) {
  if (which.kind != protocol::control::EdgeKind::kSmtpcResolvd) return;
  smtpc_.Attach(which.peer_index, which.peer_origin, std::move(end));
}

void Resolvd::OnReload() {
  const config::Dns& now = service_.settings().dns;
  lookups_.set_timeout(now.timeout);
  if (NeedsRestart(started_with_, now)) service_.AskForRestart();
}

void Resolvd::OnStop(io::Deadline until) {
  stop_until_ = until;
  stop_.Set();
}

io::Task<absl::Status> Resolvd::Serve() {
  if ((co_await stop_.Wait(io::Deadline::Never())).ok()) {
    IgnoreStatus(co_await lookups_.Idle(stop_until_), "what takes longer is stopped");
    // Those who asked are told before their channels end.
    co_await io::YieldTurn();
    co_await smtpc_.WaitUntilFlushed(stop_until_);
  }
  co_await lookups_.Stop();
  edges_.RequestStop();
  co_await edges_.Join();
  co_await lookups_.Stop();  // what was asked in between
  co_return absl::OkStatus();
}

void Resolvd::Count(std::vector<protocol::control::Counter>& counters) {
  counters.push_back({.name = "questions", .value = questions_});
  counters.push_back({.name = "shared", .value = lookups_.shared()});
  counters.push_back({.name = "failures", .value = failures_});
  counters.push_back({.name = "outstanding", .value = lookups_.outstanding()});
}

}  // namespace postern::resolvd
