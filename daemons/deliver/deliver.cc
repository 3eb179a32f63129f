#include "daemons/deliver/deliver.h"

#include <utility>

#include "common/base/queue_id.h"
#include "common/log/log.h"

namespace postern::deliver {

namespace mailbox = protocol::mailbox;

class Deliver::Handler final : public ipc::FrameHandler {
 public:
  explicit Handler(Deliver& deliver) : deliver_(deliver) {}
  absl::Status OnFrame(ipc::Frame& frame) override {
    if (frame.type != mailbox::kDeliver)
      return DataLoss("unexpected message type ", int{frame.type});
    ASSIGN_OR_RETURN(const auto order, ipc::DecodeFrame<mailbox::Deliver>(frame));
    auto source = std::make_unique<Source>(order, std::move(frame.descriptor));
    deliver_.writing_.Spawn(
        deliver_.Write(frame.id, std::move(source), order.queue_id, order.sender));
    return absl::OkStatus();
  }

 private:
  Deliver& deliver_;
};

void Deliver::OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) {
  if (which.kind != protocol::control::EdgeKind::kLocaldDeliver || channel_ != nullptr) return;
  channel_ = std::make_unique<ipc::Channel>(service_.loop(), std::move(end),
                                            protocol::kLocaldDeliver, ipc::Side::kB);
}

io::Task<void> Deliver::Write(uint32_t id, std::unique_ptr<Source> source, uint64_t queue_id,
                              std::string sender) {
  const absl::Status stored = co_await mailbox_->Store(*source, sender);
  const mailbox::Delivered done = AnswerOf(stored);
  if (stored.ok()) {
    log::Event(log::Severity::kInfo, log::kDeliverStored).Id(QueueId(queue_id)).Str("user", user_);
  } else {
    log::Event(log::Severity::kWarning, log::kDeliverFailed)
        .Id(QueueId(queue_id))
        .Str("user", user_)
        .Str("status", done.status)
        .Str("reason", done.diagnostic);
  }
  IgnoreStatus(channel_->Send(id, done), "a locald that is gone tries the message again");
  // A mailbox that is not there (any more) is opened, or made, by the next process.
  if (!mailbox_->usable() || absl::IsNotFound(stored)) ended_.Set();
}

namespace {

io::Task<absl::Status> RunUntilClosed(ipc::Channel& channel, ipc::FrameHandler& handler,
                                      io::Event& ended) {
  const absl::Status status = co_await channel.Run(handler);
  ended.Set();
  co_return status;
}

}  // namespace

io::Task<absl::Status> Deliver::Serve() {
  if (channel_ == nullptr) co_return FailedPrecondition("started without an edge to locald");
  Handler handler(*this);
  io::TaskScope running;
  running.Spawn(RunUntilClosed(*channel_, handler, ended_));
  IgnoreStatus(co_await ended_.Wait(io::Deadline::Never()), "ended either way");
  co_await writing_.Join();
  IgnoreStatus(co_await channel_->WaitUntilFlushed(service_.loop().After(absl::Seconds(1))),
               "locald may be gone");
  channel_->Close();
  const absl::Status ended = co_await running.JoinOrCancel();
  // What came meanwhile finishes too; its answer goes nowhere, so locald tries it again.
  co_await writing_.Join();
  co_await io::YieldTurn();
  channel_.reset();
  co_return absl::IsDataLoss(ended) ? ended : absl::OkStatus();
}

}  // namespace postern::deliver
