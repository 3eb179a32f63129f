#include "daemons/locald/pool.h"

#include <utility>

#include "common/log/log.h"

namespace postern::locald {

namespace mailbox = protocol::mailbox;

struct Pool::Process final : ipc::FrameHandler {
  std::string user;
  std::unique_ptr<ipc::Channel> channel;
  size_t under_way = 0;
  bool starting = true;
  absl::Status failed;  // to start
  io::Deadline idle_since;
  io::Event changed;
  std::map<uint32_t, std::pair<bool, mailbox::Delivered>> answers;  // by conversation

  absl::Status OnFrame(ipc::Frame& frame) override {
    if (frame.type != mailbox::kDelivered)
      return DataLoss("unexpected message type ", int{frame.type});
    ASSIGN_OR_RETURN(auto delivered, ipc::DecodeFrame<mailbox::Delivered>(frame));
    const auto found = answers.find(frame.id);
    if (found == answers.end()) return absl::OkStatus();  // nobody waits any more
    found->second = {true, std::move(delivered)};
    changed.Wake();
    return absl::OkStatus();
  }
};

io::Task<absl::Status> Pool::Run(std::shared_ptr<Process> process) {
  const absl::Status ended = co_await process->channel->Run(*process);
  if (absl::IsDataLoss(ended))
    log::Event(log::Severity::kWarning, log::kIncidentFrame)
        .Str("edge", "locald-deliver")
        .Str("user", process->user)
        .Error(ended);
  process->changed.Wake();
  if (const auto found = processes_.find(process->user);
      found != processes_.end() && found->second == process)
    processes_.erase(found);
  changed_.Wake();
  co_await io::YieldTurn();
  process->channel.reset();
  co_return absl::OkStatus();
}

bool Pool::CloseOneIdle() {
  Process* oldest = nullptr;
  for (const auto& [user, process] : processes_) {
    if (process->starting || process->under_way > 0) continue;
    if (oldest == nullptr || process->idle_since < oldest->idle_since) oldest = process.get();
  }
  if (oldest == nullptr) return false;
  oldest->channel->Close();
  processes_.erase(oldest->user);
  return true;
}

io::Task<absl::StatusOr<std::shared_ptr<Pool::Process>>> Pool::Get(const std::string& user,
                                                                   io::Deadline until) {
  for (;;) {
    if (const auto found = processes_.find(user); found != processes_.end()) {
      const std::shared_ptr<Process> process = found->second;
      if (!process->starting && process->channel != nullptr && process->channel->open())
        co_return process;
      if (process->starting) {
        CO_RETURN_IF_ERROR(co_await process->changed.Wait(until));
        CO_RETURN_IF_ERROR(process->failed);
        continue;
      }
      processes_.erase(user);
    }
    const auto limit = static_cast<size_t>(std::max(1, service_.settings().local.max_processes));
    if (processes_.size() >= limit && !CloseOneIdle()) {
      CO_RETURN_IF_ERROR(co_await changed_.Wait(until));
      continue;
    }
    auto process = std::make_shared<Process>();
    process->user = user;
    processes_[user] = process;
    absl::StatusOr<UniqueFd> end = co_await service_.WantDeliver(user, until);
    process->starting = false;
    process->idle_since = service_.loop().Now();
    if (!end.ok()) {
      process->failed = end.status();
      processes_.erase(user);
      process->changed.Wake();
      co_return end.status();
    }
    process->channel = std::make_unique<ipc::Channel>(service_.loop(), *std::move(end),
                                                      protocol::kLocaldDeliver, ipc::Side::kA);
    running_.Spawn(Run(process));
    process->changed.Wake();
    co_return process;
  }
}

io::Task<mailbox::Delivered> Pool::Deliver(const std::string& user, const mailbox::Deliver& order,
                                           UniqueFd descriptor, io::Deadline until) {
  mailbox::Delivered failure;
  failure.status = "4.3.0";
  absl::StatusOr<std::shared_ptr<Process>> got = co_await Get(user, until);
  if (!got.ok()) {
    failure.diagnostic = std::string(Message(got.status())).substr(0, protocol::kMaxReplyText);
    co_return failure;
  }
  const std::shared_ptr<Process> process = *std::move(got);
  const uint32_t id = process->channel->NewId();
  if (const absl::Status sent = process->channel->Send(id, order, std::move(descriptor));
      !sent.ok()) {
    failure.diagnostic = std::string(Message(sent));
    co_return failure;
  }
  ++process->under_way;
  process->answers[id] = {};
  absl::Status waited;
  while (waited.ok() && !process->answers[id].first && process->channel != nullptr &&
         process->channel->open()) {
    waited = co_await process->changed.Wait(until);
  }
  --process->under_way;
  process->idle_since = service_.loop().Now();
  changed_.Wake();
  auto [answered, delivered] = std::move(process->answers[id]);
  process->answers.erase(id);
  if (answered) co_return delivered;
  failure.status = waited.ok() ? "4.3.0" : "4.4.7";
  failure.diagnostic =
      waited.ok() ? "the delivery process ended" : "the delivery took too long (local.timeout)";
  co_return failure;
}

io::Task<absl::Status> Pool::CloseIdle() {
  for (;;) {
    CO_RETURN_IF_ERROR(co_await io::Sleep(service_.loop().After(kIdle / 3)));
    for (auto at = processes_.begin(); at != processes_.end();) {
      Process& process = *at->second;
      const bool idle = !process.starting && process.under_way == 0 &&
                        service_.loop().Now() - process.idle_since > kIdle;
      if (idle && process.channel != nullptr) process.channel->Close();
      at = idle ? processes_.erase(at) : std::next(at);
    }
  }
}

io::Task<void> Pool::Close() {
  for (auto& [user, process] : processes_) {
    if (process->channel != nullptr) process->channel->Close();
  }
  processes_.clear();
  running_.RequestStop();
  co_await running_.Join();
}

}  // namespace postern::locald
