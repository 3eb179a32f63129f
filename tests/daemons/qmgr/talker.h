// tests/daemons/qmgr/talker.h — the far end of an edge: what it hears is kept by type, and waited
// for.
#pragma once

#include <sys/socket.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/io/event.h"
#include "common/io/scope.h"
#include "common/ipc/channel.h"

namespace postern::qmgr {

class Talker final : public ipc::FrameHandler {
 public:
  // Heard: a message and the conversation it belongs to.
  template <class M>
  struct Heard {
    uint32_t id = 0;
    M message;
    UniqueFd descriptor;
  };

  // `scope` must be joined before this dies.
  Talker(io::Loop& loop, io::TaskScope& scope, UniqueFd end, const ipc::Edge& edge, ipc::Side side)
      : loop_(loop), channel_(std::make_unique<ipc::Channel>(loop, std::move(end), edge, side)) {
    scope.Spawn(Run());
  }

  uint32_t NewId() { return channel_->NewId(); }
  template <class M>
  absl::Status Send(uint32_t id, const M& message) {
    if (channel_ == nullptr) return Unavailable("the channel has ended");
    return channel_->Send(id, message);
  }
  // The next of that type. The message must own what it holds.
  template <class M>
  io::Task<absl::StatusOr<Heard<M>>> Receive() {
    auto& queue = heard_[static_cast<uint8_t>(M::kType)];
    while (queue.empty()) {
      if (ended_) co_return Unavailable("the channel has ended");
      CO_RETURN_IF_ERROR(co_await changed_.Wait(loop_.After(absl::Seconds(10))));
    }
    Raw raw = std::move(queue.front());
    queue.pop_front();
    Parsed<M> message = ipc::Decode<M>(raw.payload);
    if (!message.has_value()) co_return DataLoss(message.error().reason);
    co_return Heard<M>{raw.id, *std::move(message), std::move(raw.descriptor)};
  }
  template <class M>
  size_t Waiting() {
    return heard_[static_cast<uint8_t>(M::kType)].size();
  }
  // Until the other side has closed it.
  io::Task<absl::Status> End() {
    while (!ended_) CO_RETURN_IF_ERROR(co_await changed_.Wait(loop_.After(absl::Seconds(10))));
    co_return absl::OkStatus();
  }
  // As if the process had died.
  void Close() { channel_->Close(); }

  absl::Status OnFrame(ipc::Frame& frame) override {
    heard_[frame.type].push_back(
        {frame.id, std::string(frame.payload), std::move(frame.descriptor)});
    changed_.Wake();
    return absl::OkStatus();
  }

 private:
  struct Raw {
    uint32_t id;
    std::string payload;
    UniqueFd descriptor;
  };
  io::Task<void> Run() {
    IgnoreStatus(co_await channel_->Run(*this), "End tells that it is over");
    co_await io::YieldTurn();
    channel_.reset();
    ended_ = true;
    changed_.Wake();
  }

  io::Loop& loop_;
  std::unique_ptr<ipc::Channel> channel_;
  std::map<uint8_t, std::deque<Raw>> heard_;
  bool ended_ = false;
  io::Event changed_;
};

inline std::pair<UniqueFd, UniqueFd> Pair() {
  int fds[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

}  // namespace postern::qmgr
