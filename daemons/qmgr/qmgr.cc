#include "daemons/qmgr/qmgr.h"

#include <utility>

#include "common/ipc/protocol/qmgr_bounced.h"
#include "common/ipc/protocol/qmgr_locald.h"
#include "common/ipc/protocol/qmgr_smtpc.h"
#include "common/ipc/protocol/smtpd_qmgr.h"
#include "common/log/log.h"

namespace postern::qmgr {

using protocol::control::EdgeKind;

Qmgr::Qmgr(service::Service& service, Disk& disk, uid_t owner_uid)
    : service_(service),
      queue_(service.loop(), disk, service.settings()),
      admin_(queue_, owner_uid, service.root_uid()),
      dispatch_(queue_, work_),
      notices_(queue_),
      smtpd_(service.loop(), edges_, protocol::kSmtpdQmgr, ipc::Side::kB,
             [this](uint32_t, uint8_t origin) {
               return std::make_unique<Intake>(queue_, totals_, work_, origin);
             }),
      bounced_in_(service.loop(), edges_, protocol::kBouncedQmgr, ipc::Side::kB,
                  [this](uint32_t, uint8_t origin) {
                    return std::make_unique<Intake>(queue_, totals_, work_, origin);
                  }),
      smtpc_(service.loop(), edges_, protocol::kQmgrSmtpc, ipc::Side::kA,
             [this](uint32_t, uint8_t) { return dispatch_.MakeWorker(Route::kRemote); }),
      locald_(service.loop(), edges_, protocol::kQmgrLocald, ipc::Side::kA,
              [this](uint32_t, uint8_t) { return dispatch_.MakeWorker(Route::kLocal); }),
      bounced_(service.loop(), edges_, protocol::kQmgrBounced, ipc::Side::kA,
               [this](uint32_t, uint8_t origin) { return notices_.MakeHandler(origin); }) {
  queue_.SetNotify([this](uint64_t id, const LoadedMessage& loaded, NoticeWish& wish) {
    return notices_.Notify(id, loaded, wish);
  });
}

void Qmgr::OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) {
  // Nothing is taken before it is known what is there: frames wait in the socket meanwhile.
  if (!recovered_) {
    early_.emplace_back(which, std::move(end));
  } else {
    Attach(which, std::move(end));
  }
}

void Qmgr::Attach(const protocol::control::EdgeEnd& which, UniqueFd end) {
  switch (which.kind) {
    case EdgeKind::kSmtpdQmgr:
      smtpd_.Attach(which.peer_index, which.peer_origin, std::move(end));
      break;
    case EdgeKind::kBouncedQmgr:
      bounced_in_.Attach(which.peer_index, which.peer_origin, std::move(end));
      break;
    case EdgeKind::kQmgrSmtpc:
      smtpc_.Attach(which.peer_index, which.peer_origin, std::move(end));
      break;
    case EdgeKind::kQmgrLocald:
      locald_.Attach(which.peer_index, which.peer_origin, std::move(end));
      break;
    case EdgeKind::kQmgrBounced:
      bounced_.Attach(which.peer_index, which.peer_origin, std::move(end));
      break;
    default:
      break;  // closed again
  }
}

void Qmgr::OnListener(const protocol::control::ListenerEnd& which, UniqueFd end) {
  if (which.kind != protocol::control::ListenerKind::kAdminSocket) return;
  if (recovered_) {
    background_.Spawn(admin_.Serve(std::move(end)));
  } else {
    admin_sockets_.push_back(std::move(end));
  }
}

void Qmgr::OnStop(io::Deadline) {
  totals_.stopping = true;
  dispatch_.StopGivingOut();
  stop_.Set();
}

// The writer outlives everything that appends; its failure is the queue's end, not only a batch's.
io::Task<absl::Status> Qmgr::RunStore() { return queue_.store().Run(); }

io::Task<absl::Status> Qmgr::Serve() {
  store_.Spawn(RunStore());
  const absl::Status recovered = co_await queue_.Recover();
  if (!recovered.ok()) {
    store_.RequestStop();
    co_await store_.Join();
    co_return Annotate(recovered, "open the queue");
  }
  recovered_ = true;
  for (auto& [which, end] : std::exchange(early_, {})) Attach(which, std::move(end));
  for (UniqueFd& socket : std::exchange(admin_sockets_, {}))
    background_.Spawn(admin_.Serve(std::move(socket)));
  background_.Spawn(dispatch_.Run());
  background_.Spawn(queue_.Upkeep());
  IgnoreStatus(co_await stop_.Wait(io::Deadline::Never()), "stop or cancel end it alike");
  // Commits under way are answered; then the edges go, and what they reported is recorded.
  background_.RequestStop();
  co_await background_.Join();
  co_await work_.Join();
  edges_.RequestStop();
  co_await edges_.Join();
  co_await work_.Join();
  queue_.RequestStop();
  co_await queue_.Join();
  store_.RequestStop();
  co_await store_.Join();
  co_return absl::OkStatus();
}

void Qmgr::Count(std::vector<protocol::control::Counter>& counters) {
  counters.push_back({.name = "messages", .value = queue_.messages().size()});
  const SchedulerCounts counts = queue_.scheduler().Counts();
  counters.push_back({.name = "held", .value = counts.held});
  counters.push_back({.name = "deferred", .value = counts.deferred});
  counters.push_back({.name = "running", .value = dispatch_.running()});
  counters.push_back({.name = "accepted", .value = totals_.accepted});
  counters.push_back({.name = "given_out", .value = dispatch_.given_out()});
  counters.push_back({.name = "commits", .value = queue_.store().counters().commits});
  counters.push_back({.name = "segments", .value = queue_.store().segment_count()});
}

}  // namespace postern::qmgr
