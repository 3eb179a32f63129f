#include "daemons/locald/locald.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "common/base/queue_id.h"
#include "common/log/log.h"

namespace postern::locald {

namespace delivery = protocol::delivery;
namespace mailbox = protocol::mailbox;

// A job as it is kept while it is worked on.
struct Locald::Order {
  uint32_t frame_id = 0;
  delivery::Job job;  // its inline content points into `content`
  std::string content;
  UniqueFd descriptor;
};

class Locald::QmgrHandler final : public service::PeerHandler {
 public:
  explicit QmgrHandler(Locald& locald) : locald_(locald) {}

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
    if (frame.type == delivery::kCancelJob)
      return absl::OkStatus();  // short work: it is done anyway
    if (frame.type != delivery::kJob) return DataLoss("unexpected message type ", int{frame.type});
    auto order = std::make_unique<Order>();
    ASSIGN_OR_RETURN(order->job, ipc::DecodeFrame<delivery::Job>(frame));
    order->frame_id = frame.id;
    order->content = order->job.inline_content;
    order->job.inline_content = order->content;
    order->descriptor = std::move(frame.descriptor);
    locald_.jobs_.Spawn(locald_.Work(*this, generation_, std::move(order)));
    return absl::OkStatus();
  }
  // The channel, if it is still the one the job came by.
  ipc::Channel* channel(uint64_t generation) const {
    return generation == generation_ ? channel_ : nullptr;
  }

 private:
  Locald& locald_;
  ipc::Channel* channel_ = nullptr;
  uint64_t generation_ = 0;
};

Locald::Locald(service::Service& service)
    : service_(service),
      accounts_(std::make_unique<AccountTable>(service.settings(), service.accounts())),
      pool_(service.loop(), *this),
      qmgr_(service.loop(), edges_, protocol::kQmgrLocald, ipc::Side::kB,
            [this](uint32_t, uint8_t) { return std::make_unique<QmgrHandler>(*this); }) {}

void Locald::OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) {
  if (which.kind != protocol::control::EdgeKind::kQmgrLocald) return;
  qmgr_.Attach(which.peer_index, which.peer_origin, std::move(end));
}

void Locald::OnReload() {
  accounts_ = std::make_unique<AccountTable>(service_.settings(), service_.accounts());
  pool_.Retire();  // a mailbox may lie elsewhere from now on
}

io::Task<absl::StatusOr<UniqueFd>> Locald::Start(const std::string& user, io::Deadline until) {
  co_return co_await service_.WantDeliver(user, until);
}

size_t Locald::max_processes() const {
  return static_cast<size_t>(service_.settings().local.max_processes);
}

io::Task<void> Locald::DeliverTo(const Order& order, const delivery::JobRecipient& recipient,
                                 io::Deadline until, delivery::Result& result) {
  const delivery::Job& job = order.job;
  result.index = recipient.index;
  const Destination destination = accounts_->Find(recipient.address);
  if (destination.match == Match::kUnknown) {
    // It was known when the message was accepted: an account that is gone since.
    result.outcome = delivery::Outcome::kFailed;
    result.status = "5.1.1";
    result.diagnostic = "no such user here";
    co_return;
  }
  mailbox::Delivered delivered;
  UniqueFd descriptor;
  if (order.descriptor.valid())
    descriptor = UniqueFd(::fcntl(order.descriptor.get(), F_DUPFD_CLOEXEC, 0));
  if (destination.match == Match::kNobody) {
    delivered.status = "4.3.0";
    delivered.diagnostic =
        "there is no account that postmaster's mail could go to (local.postmaster)";
  } else if (order.descriptor.valid() && !descriptor.valid()) {
    // Never without it: what is stored would be cut off behind the header section.
    delivered.status = "4.3.0";
    delivered.diagnostic = Message(ErrnoStatus(errno, "pass the content on"));
  } else {
    mailbox::Deliver store;
    store.queue_id = job.queue_id;
    store.sender = job.sender;
    store.recipient = recipient.address;
    store.arrival_us = job.arrival_us;
    store.content_octets = job.content_octets;
    store.content_offset = job.content_offset;
    store.inline_content = job.inline_content;
    delivered = co_await pool_.Deliver(destination.account, store, std::move(descriptor), until);
  }
  result.outcome = delivered.outcome;
  result.status = std::move(delivered.status);
  result.diagnostic = std::move(delivered.diagnostic);
  const bool ok = result.outcome == delivery::Outcome::kDelivered;
  if (ok) ++delivered_;
  log::Event event(ok ? log::Severity::kInfo : log::Severity::kNotice,
                   ok ? log::kMessageDelivered : log::kMessageDeferred);
  event.Id(QueueId(job.queue_id))
      .Str("to", recipient.address)
      .Str("via", "local")
      .Str("user", destination.account);
  if (!ok) event.Str("status", result.status).Str("reason", result.diagnostic);
}

io::Task<void> Locald::Work(QmgrHandler& qmgr, uint64_t generation, std::unique_ptr<Order> order) {
  const io::Deadline until = service_.loop().After(service_.settings().local.timeout);
  delivery::Results results;
  results.results.resize(order->job.recipients.size());
  // Side by side: the processes of several accounts work at once, and that of one account shares
  // its syncs among what it has.
  io::TaskScope recipients;
  for (size_t i = 0; i < results.results.size(); ++i)
    recipients.Spawn(DeliverTo(*order, order->job.recipients[i], until, results.results[i]));
  co_await recipients.Join();
  ipc::Channel* channel = qmgr.channel(generation);
  if (channel == nullptr) co_return;  // the new qmgr gives the message out again
  if (const absl::Status sent = channel->Send(order->frame_id, results); !sent.ok()) {
    log::Event(log::Severity::kWarning, log::kDaemonFailed).Str("stage", "report").Error(sent);
  }
  IgnoreStatus(channel->Send(
                   order->frame_id,
                   delivery::JobDone{.destination = delivery::Destination::kHealthy, .reason = {}}),
               "a channel that is gone loses its jobs, which are given out again");
}

io::Task<absl::Status> Locald::Serve() {
  background_.Spawn(pool_.CloseIdle());
  const absl::Status stopped = co_await stop_.Wait(io::Deadline::Never());
  if (!stopped.ok()) jobs_.RequestStop();
  co_await jobs_.Join();
  // What the last jobs reported leaves with the end of this turn.
  co_await io::YieldTurn();
  IgnoreStatus(co_await io::Sleep(service_.loop().After(absl::Milliseconds(10))),
               "a moment for the last reports");
  background_.RequestStop();
  co_await background_.Join();
  co_await pool_.Close();
  edges_.RequestStop();
  co_await edges_.Join();
  co_return absl::OkStatus();
}

void Locald::Count(std::vector<protocol::control::Counter>& counters) {
  counters.push_back({.name = "jobs", .value = jobs_.running()});
  counters.push_back({.name = "processes", .value = pool_.processes()});
  counters.push_back({.name = "delivered", .value = delivered_});
}

}  // namespace postern::locald
