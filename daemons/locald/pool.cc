#include "daemons/locald/pool.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "common/ipc/channel.h"
#include "common/log/log.h"

namespace postern::locald {

namespace mailbox = protocol::mailbox;

namespace {

mailbox::Delivered Deferred(const absl::Status& why) {
  return {.outcome = protocol::delivery::Outcome::kDeferred,
          .status = absl::IsDeadlineExceeded(why) ? "4.4.7" : "4.3.0",
          .diagnostic = std::string(Message(why)).substr(0, protocol::kMaxReplyText)};
}

}  // namespace

// A message under way.
struct Pool::Waiting {
  io::Event done;  // answered, or the process is gone
  bool answered = false;
  mailbox::Delivered delivered;
};

struct Pool::Process final : ipc::FrameHandler {
  std::string user;
  std::unique_ptr<ipc::Channel> channel;
  bool starting = true;
  bool retired = false;
  absl::Status failed;  // to start
  io::Deadline idle_since;
  size_t octets = 0;                               // under way
  std::unordered_map<uint32_t, Waiting*> waiting;  // by conversation
  io::Event changed;                               // it has started, has more room, or is gone

  bool HasRoomFor(size_t more) const {
    return channel != nullptr && channel->open() && channel->HasRoom() &&
           octets + more <= kMaxOctetsUnderWay;
  }

  absl::Status OnFrame(ipc::Frame& frame) override {
    if (frame.type != mailbox::kDelivered)
      return DataLoss("unexpected message type ", int{frame.type});
    ASSIGN_OR_RETURN(auto delivered, ipc::DecodeFrame<mailbox::Delivered>(frame));
    const auto found = waiting.find(frame.id);
    if (found == waiting.end()) return absl::OkStatus();  // nobody waits any more
    found->second->answered = true;
    found->second->delivered = std::move(delivered);
    found->second->done.Set();
    return absl::OkStatus();
  }
};

io::Task<absl::Status> Pool::Run(std::shared_ptr<Process> process) {
  const absl::Status ended = co_await process->channel->Run(*process);
  if (absl::IsDataLoss(ended)) {
    log::Event(log::Severity::kWarning, log::kIncidentFrame)
        .Str("edge", "locald-deliver")
        .Str("user", process->user)
        .Error(ended);
  }
  if (const auto found = processes_.find(process->user);
      found != processes_.end() && found->second == process) {
    processes_.erase(found);
  }
  for (const auto& [id, waiting] : process->waiting) waiting->done.Set();
  process->changed.Wake();
  changed_.Wake();
  co_await io::YieldTurn();
  process->channel.reset();
  co_return absl::OkStatus();
}

bool Pool::CloseOneIdle() {
  std::shared_ptr<Process> oldest;
  for (const auto& [user, process] : processes_) {
    if (process->starting || !process->waiting.empty()) continue;
    if (oldest == nullptr || process->idle_since < oldest->idle_since) oldest = process;
  }
  if (oldest == nullptr) return false;
  processes_.erase(oldest->user);
  oldest->channel->Close();
  return true;
}

io::Task<absl::Status> Pool::Start(std::string user, io::Deadline until) {
  const auto process = std::make_shared<Process>();
  process->user = user;
  processes_[user] = process;
  absl::StatusOr<UniqueFd> end = co_await starter_.Start(user, until);
  process->starting = false;
  process->idle_since = loop_.Now();
  if (end.ok() && !process->retired) {
    process->channel = std::make_unique<ipc::Channel>(loop_, *std::move(end),
                                                      protocol::kLocaldDeliver, ipc::Side::kA);
    running_.Spawn(Run(process));
  } else {
    process->failed = end.status();
    if (const auto found = processes_.find(user);
        found != processes_.end() && found->second == process) {
      processes_.erase(found);
    }
    changed_.Wake();
  }
  process->changed.Wake();
  co_return process->failed;
}

io::Task<absl::StatusOr<std::shared_ptr<Pool::Process>>> Pool::Get(const std::string& user,
                                                                   size_t octets,
                                                                   io::Deadline until) {
  for (;;) {
    if (const auto found = processes_.find(user); found != processes_.end()) {
      const std::shared_ptr<Process> process = found->second;
      if (process->HasRoomFor(octets)) co_return process;
      CO_RETURN_IF_ERROR(co_await process->changed.Wait(until));
      CO_RETURN_IF_ERROR(process->failed);
      continue;
    }
    if (processes_.size() >= std::max<size_t>(1, starter_.max_processes()) && !CloseOneIdle()) {
      CO_RETURN_IF_ERROR(co_await changed_.Wait(until));
      continue;
    }
    CO_RETURN_IF_ERROR(co_await Start(user, until));
  }
}

io::Task<mailbox::Delivered> Pool::Deliver(const std::string& user, const mailbox::Deliver& order,
                                           UniqueFd descriptor, io::Deadline until) {
  const size_t octets = order.inline_content.size() + (descriptor.valid() ? kDescriptorOctets : 0);
  const absl::StatusOr<std::shared_ptr<Process>> got = co_await Get(user, octets, until);
  if (!got.ok()) co_return Deferred(Annotate(got.status(), "wait for a delivery process"));
  const std::shared_ptr<Process> process = *got;
  const uint32_t id = process->channel->NewId();
  if (const absl::Status sent = process->channel->Send(id, order, std::move(descriptor));
      !sent.ok()) {
    co_return Deferred(sent);
  }
  Waiting waiting;
  process->waiting[id] = &waiting;
  process->octets += octets;
  const absl::Status waited = co_await waiting.done.Wait(until);
  process->waiting.erase(id);
  process->octets -= octets;
  process->idle_since = loop_.Now();
  if (process->retired && process->waiting.empty() && process->channel != nullptr)
    process->channel->Close();
  process->changed.Wake();
  changed_.Wake();
  if (waiting.answered) co_return std::move(waiting.delivered);
  if (absl::IsDeadlineExceeded(waited))
    co_return Deferred(DeadlineExceeded("the delivery took too long (local.timeout)"));
  co_return Deferred(waited.ok() ? Unavailable("the delivery process ended") : waited);
}

io::Task<absl::Status> Pool::CloseIdle() {
  for (;;) {
    CO_RETURN_IF_ERROR(co_await io::Sleep(loop_.After(kIdle / 3)));
    CloseIdleSince(loop_.After(-kIdle));
  }
}

void Pool::CloseIdleSince(io::Deadline moment) {
  for (auto at = processes_.begin(); at != processes_.end();) {
    Process& process = *at->second;
    const bool idle = !process.starting && process.waiting.empty() && process.idle_since <= moment;
    if (idle) process.channel->Close();
    at = idle ? processes_.erase(at) : std::next(at);
  }
  changed_.Wake();
}

void Pool::Retire() {
  for (const auto& [user, process] : std::exchange(processes_, {})) {
    process->retired = true;
    if (!process->starting && process->waiting.empty()) process->channel->Close();
    process->changed.Wake();
  }
  changed_.Wake();
}

io::Task<void> Pool::Close() {
  for (const auto& [user, process] : std::exchange(processes_, {})) {
    if (process->channel != nullptr) process->channel->Close();
  }
  running_.RequestStop();
  co_await running_.Join();
}

}  // namespace postern::locald
