// daemons/qmgr/dispatch.h — messages going out: to smtpc and locald, which say how much they take
// at once.
#pragma once

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/ipc/protocol/delivery.h"
#include "common/service/service.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

class Dispatch;

// One worker process.
class Worker final : public service::PeerHandler {
 public:
  Worker(Dispatch& dispatch, Route route) : dispatch_(dispatch), route_(route) {}

  absl::Status OnFrame(ipc::Frame& frame) override;
  void OnUp(ipc::Channel& channel) override;
  void OnDown(const absl::Status& why) override;

  bool HasRoom() const { return channel_ != nullptr && running_.size() + preparing_ < capacity_; }
  Route route() const { return route_; }

 private:
  friend class Dispatch;
  struct Running {
    Job job;
    std::vector<protocol::delivery::Result> results;
  };
  Dispatch& dispatch_;
  const Route route_;
  ipc::Channel* channel_ = nullptr;
  uint64_t generation_ = 0;
  size_t capacity_ = 0;
  size_t preparing_ = 0;  // jobs whose message is being read
  std::unordered_map<uint32_t, Running> running_;
};

class Dispatch {
 public:
  Dispatch(Queue& queue, io::TaskScope& work) : queue_(queue), work_(work) {}

  std::unique_ptr<Worker> MakeWorker(Route route);
  // Hands out what is due to whoever has room, until stopped.
  io::Task<absl::Status> Run();
  void StopGivingOut() { stopping_ = true; }
  uint64_t given_out() const { return given_out_; }
  size_t running() const;

 private:
  friend class Worker;
  void Pump();
  // Destinations in trouble may use a part of the workers' room only; the scheduler must know all
  // of it.
  void TellCapacity(Route route);
  Worker* PickWorker(Route route);
  io::Task<void> Give(Worker& worker, uint64_t generation, Job job);
  io::Task<absl::Status> Send(Worker& worker, uint64_t generation, const Job& job);

  Queue& queue_;
  io::TaskScope& work_;
  std::vector<Worker*> workers_;
  std::array<size_t, kRoutes> last_{};  // the worker that had the last job of each route
  bool stopping_ = false;
  uint64_t given_out_ = 0;
};

}  // namespace postern::qmgr
