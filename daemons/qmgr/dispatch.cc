#include "daemons/qmgr/dispatch.h"

#include <algorithm>
#include <utility>

#include "daemons/qmgr/routing.h"

namespace postern::qmgr {

namespace delivery = protocol::delivery;

void Worker::OnUp(ipc::Channel& channel) {
  channel_ = &channel;
  ++generation_;
}

void Worker::OnDown(const absl::Status&) {
  channel_ = nullptr;
  capacity_ = 0;
  ++generation_;
  dispatch_.TellCapacity(route_);
  // At a stop the edges are closed by us: nobody died, and the next start gives it out again.
  for (auto& [id, running] : std::exchange(running_, {})) {
    if (!dispatch_.stopping_) dispatch_.queue_.Lost(running.job);
  }
}

absl::Status Worker::OnFrame(ipc::Frame& frame) {
  if (frame.type == delivery::kCapacity) {
    ASSIGN_OR_RETURN(const auto capacity, ipc::DecodeFrame<delivery::Capacity>(frame));
    capacity_ = std::min<size_t>(capacity.jobs, delivery::kMaxJobs);
    dispatch_.TellCapacity(route_);
    dispatch_.queue_.changed().Wake();
    return absl::OkStatus();
  }
  const auto found = running_.find(frame.id);
  if (found == running_.end()) return DataLoss("a report on no job of its own");
  Running& running = found->second;
  switch (frame.type) {
    case delivery::kResults: {
      ASSIGN_OR_RETURN(auto results, ipc::DecodeFrame<delivery::Results>(frame));
      for (delivery::Result& result : results.results) {
        // It may speak of the recipients it was given, once each, and of nobody else.
        const auto& given = running.job.recipients;
        if (std::find(given.begin(), given.end(), result.index) == given.end())
          return DataLoss("a result for a recipient it was not given");
        const bool again =
            std::any_of(running.results.begin(), running.results.end(),
                        [&](const delivery::Result& one) { return one.index == result.index; });
        if (again) return DataLoss("two results for one recipient");
        running.results.push_back(std::move(result));
      }
      return absl::OkStatus();
    }
    case delivery::kJobDone: {
      ASSIGN_OR_RETURN(const auto done, ipc::DecodeFrame<delivery::JobDone>(frame));
      Running finished = std::move(running);
      running_.erase(found);
      const Verdict verdict =
          done.destination == delivery::Destination::kHealthy ? Verdict::kHealthy
          : done.destination == delivery::Destination::kBusy  ? Verdict::kBusy
                                                              : Verdict::kUnreachable;
      dispatch_.queue_.Finish(finished.job, std::move(finished.results), verdict, done.reason);
      return absl::OkStatus();
    }
    default:
      return DataLoss("unexpected message type ", int{frame.type});
  }
}

std::unique_ptr<Worker> Dispatch::MakeWorker(Route route) {
  auto worker = std::make_unique<Worker>(*this, route);
  workers_.push_back(worker.get());
  return worker;
}

void Dispatch::TellCapacity(Route route) {
  size_t units = 0;
  for (const Worker* worker : workers_) {
    if (worker->route() == route) units += worker->capacity_;
  }
  queue_.scheduler().SetCapacity(route, units);
}

size_t Dispatch::running() const {
  size_t running = 0;
  for (const Worker* worker : workers_) running += worker->running_.size() + worker->preparing_;
  return running;
}

Worker* Dispatch::PickWorker(Route route) {
  size_t& last = last_[static_cast<size_t>(route)];
  for (size_t i = 0; i < workers_.size(); ++i) {
    last = (last + 1) % workers_.size();
    if (workers_[last]->route() == route && workers_[last]->HasRoom()) return workers_[last];
  }
  return nullptr;
}

void Dispatch::Pump() {
  if (stopping_) return;
  for (const Route route : {Route::kRemote, Route::kLocal}) {
    for (;;) {
      Worker* worker = PickWorker(route);
      if (worker == nullptr) break;
      std::optional<Job> job = queue_.scheduler().Next(route, queue_.NowUs());
      if (!job.has_value()) break;
      ++worker->preparing_;
      work_.Spawn(Give(*worker, worker->generation_, *std::move(job)));
    }
  }
}

io::Task<absl::Status> Dispatch::Run() {
  for (;;) {
    queue_.TakeAged();
    Pump();
    const std::optional<int64_t> next = queue_.scheduler().NextWakeup(queue_.NowUs());
    // Not in a tight loop over what is due but has no worker: Next has taken it off the timers by
    // then.
    const io::Deadline until =
        next.has_value()
            ? io::Deadline::AtNanoseconds(std::max<int64_t>(*next, queue_.NowUs() + 1000) * 1000)
            : io::Deadline::Never();
    const absl::Status woken = co_await queue_.changed().Wait(until);
    if (absl::IsCancelled(woken)) co_return woken;
  }
}

namespace {

// Whether any of the job's recipients would go elsewhere if it were grouped now.
bool Misrouted(const Job& job, const MessageRecord& record, const config::Settings& settings) {
  return std::any_of(job.recipients.begin(), job.recipients.end(), [&](uint32_t index) {
    if (index >= record.recipients.size()) return false;
    const RecipientRecord& recipient = record.recipients[index];
    return HopFor(recipient.address, recipient.kind, settings).destination != job.destination;
  });
}

}  // namespace

io::Task<void> Dispatch::Give(Worker& worker, uint64_t generation, Job job) {
  const absl::Status sent = co_await Send(worker, generation, job);
  --worker.preparing_;
  if (sent.ok()) {
    ++given_out_;
    co_return;
  }
  if (absl::IsAborted(sent)) co_return;  // grouped anew
  if (absl::IsUnavailable(sent)) {
    queue_.NotBegun(job);
  } else {
    queue_.Finish(job, {}, Verdict::kHealthy, std::string(Message(sent)));
  }
}

io::Task<absl::Status> Dispatch::Send(Worker& worker, uint64_t generation, const Job& job) {
  QueuedMessage* message = queue_.Find(job.message_id);
  if (message == nullptr) co_return NotFound("the message is gone");
  CO_ASSIGN_OR_RETURN(const std::shared_ptr<const LoadedMessage> loaded,
                      co_await queue_.Load(*message));
  const MessageRecord& record = loaded->record;
  message = queue_.Find(job.message_id);
  if (message == nullptr) co_return NotFound("the message is gone");
  if (message->routing != queue_.routing() && Misrouted(job, record, queue_.settings())) {
    queue_.Regroup(job, record);
    co_return absl::AbortedError("its next hop is another since a reload");
  }
  delivery::Job wire;
  wire.queue_id = job.message_id;
  wire.sender = record.sender;
  wire.envid = record.envid;
  wire.ret = record.ret;
  wire.body = record.body;
  wire.smtputf8 = record.smtputf8;
  wire.arrival_us = record.arrival_us;
  wire.content_octets = record.content_octets;
  for (const uint32_t index : job.recipients) {
    if (index >= record.recipients.size()) co_return Internal("a recipient beyond the envelope");
    const RecipientRecord& recipient = record.recipients[index];
    wire.recipients.push_back({.index = index,
                               .address = recipient.address,
                               .orcpt = recipient.orcpt,
                               .notify = recipient.notify});
  }
  if (wire.recipients.empty()) co_return Internal("a job without recipients");
  if (job.route == Route::kLocal) {
    wire.transport = delivery::Transport::kLocal;
  } else {
    FillNextHop(DomainOf(wire.recipients.front().address), queue_.settings(), wire);
  }
  UniqueFd descriptor;
  std::string whole;
  if (record.in_file) {
    CO_ASSIGN_OR_RETURN(const std::unique_ptr<DiskFile> file,
                        co_await queue_.disk().Open(ContentName(job.message_id)));
    CO_ASSIGN_OR_RETURN(const int fd, file->OpenForReading());
    descriptor = UniqueFd(fd);
    wire.inline_content = record.prepend;
  } else {
    whole.reserve(record.prepend.size() + loaded->content.size());
    whole += record.prepend;
    whole += loaded->content;
    wire.inline_content = whole;
  }
  if (worker.generation_ != generation || worker.channel_ == nullptr)
    co_return Unavailable("the worker is gone");
  const uint32_t id = worker.channel_->NewId();
  CO_RETURN_IF_ERROR(worker.channel_->Send(id, wire, std::move(descriptor)));
  worker.running_[id] = {.job = job, .results = {}};
  co_return absl::OkStatus();
}

}  // namespace postern::qmgr
