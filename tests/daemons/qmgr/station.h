// tests/daemons/qmgr/station.h — all of qmgr but its process: a queue on a disk in memory, and its
// neighbours at the far ends of real sockets, played by the test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <memory>
#include <string>

#include "common/ipc/protocol/admin.h"
#include "common/ipc/protocol/qmgr_bounced.h"
#include "common/ipc/protocol/qmgr_locald.h"
#include "common/ipc/protocol/qmgr_smtpc.h"
#include "common/ipc/protocol/smtpd_qmgr.h"
#include "daemons/qmgr/admin.h"
#include "daemons/qmgr/dispatch.h"
#include "daemons/qmgr/intake.h"
#include "daemons/qmgr/notices.h"
#include "tests/daemons/qmgr/rig.h"
#include "tests/daemons/qmgr/talker.h"
#include "tests/testing/run_in_loop.h"

namespace postern::qmgr {

inline constexpr uint8_t kSmtpdOrigin = 3;
inline constexpr uint8_t kBouncedOrigin = 9;

inline uint64_t IdOf(uint16_t n) { return QueueId::Of(1'767'225'600'000, kSmtpdOrigin, n).value(); }

// A disk that takes its time with the files of large messages.
class SlowDisk final : public Disk {
 public:
  explicit SlowDisk(Disk& disk) : disk_(disk) { contents_made.Set(); }
  io::Task<absl::StatusOr<std::unique_ptr<DiskFile>>> Create(const std::string& name,
                                                             uint64_t octets) override {
    if (name.starts_with("content/"))
      CO_RETURN_IF_ERROR(co_await contents_made.Wait(io::Deadline::Never()));
    co_return co_await disk_.Create(name, octets);
  }
  io::Task<absl::StatusOr<std::unique_ptr<DiskFile>>> Open(const std::string& name) override {
    return disk_.Open(name);
  }
  io::Task<absl::Status> Remove(const std::string& name) override { return disk_.Remove(name); }
  io::Task<absl::Status> SyncDirectory(const std::string& directory) override {
    return disk_.SyncDirectory(directory);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    return disk_.List(directory);
  }
  absl::StatusOr<uint64_t> FreeOctets() override { return disk_.FreeOctets(); }

  io::Event contents_made;  // none is while this is not set

 private:
  Disk& disk_;
};

class Station {
 public:
  explicit Station(io::Loop& loop)
      : loop(loop),
        settings(TestSettings()),
        slow_disk(disk),
        queue(loop, slow_disk, settings),
        dispatch(queue, work_),
        notices(queue),
        admin(queue, 4711),
        smtpd_(loop, edges_, protocol::kSmtpdQmgr, ipc::Side::kB,
               [this](uint32_t, uint8_t origin) {
                 return std::make_unique<Intake>(queue, totals, work_, origin);
               }),
        smtpc_(loop, edges_, protocol::kQmgrSmtpc, ipc::Side::kA,
               [this](uint32_t, uint8_t) { return dispatch.MakeWorker(Route::kRemote); }),
        locald_(loop, edges_, protocol::kQmgrLocald, ipc::Side::kA,
                [this](uint32_t, uint8_t) { return dispatch.MakeWorker(Route::kLocal); }),
        bounced_(loop, edges_, protocol::kQmgrBounced, ipc::Side::kA,
                 [this](uint32_t, uint8_t origin) { return notices.MakeHandler(origin); }) {
    queue.SetNotify([this](uint64_t id, const LoadedMessage& loaded, NoticeWish& wish) {
      return notices.Notify(id, loaded, wish);
    });
  }

  io::Task<absl::Status> Start() {
    writer_.Spawn(RunStore());
    CO_RETURN_IF_ERROR(co_await queue.Recover());
    background_.Spawn(dispatch.Run());
    co_return absl::OkStatus();
  }
  io::Task<absl::Status> Stop() {
    totals.stopping = true;
    dispatch.StopGivingOut();
    background_.RequestStop();
    co_await background_.Join();
    co_await work_.Join();
    edges_.RequestStop();
    co_await edges_.Join();
    co_await work_.Join();
    queue.RequestStop();
    co_await queue.Join();
    writer_.RequestStop();
    co_await writer_.Join();
    co_await far_.Join();
    co_return absl::OkStatus();
  }

  Talker& Smtpd(uint32_t index = 0) {
    return Attach(smtpd_, index, kSmtpdOrigin, protocol::kSmtpdQmgr, ipc::Side::kA);
  }
  Talker& Smtpc(uint32_t index = 0) {
    return Attach(smtpc_, index, 0, protocol::kQmgrSmtpc, ipc::Side::kB);
  }
  Talker& Locald() { return Attach(locald_, 0, 0, protocol::kQmgrLocald, ipc::Side::kB); }
  Talker& Bounced() {
    return Attach(bounced_, 0, kBouncedOrigin, protocol::kQmgrBounced, ipc::Side::kB);
  }
  // A tool run by that user.
  Talker& Tool(uid_t uid) {
    auto [ours, theirs] = Pair();
    background_.Spawn(admin.Talk(std::move(theirs), uid));
    talkers_.emplace_back(
        std::make_unique<Talker>(loop, far_, std::move(ours), protocol::kAdmin, ipc::Side::kA));
    return *talkers_.back();
  }
  // Our end of a fresh edge of smtpd, for bytes that are no frames.
  UniqueFd RawSmtpd(uint32_t index) {
    auto [ours, theirs] = Pair();
    smtpd_.Attach(index, kSmtpdOrigin, std::move(theirs));
    return std::move(ours);
  }
  // Until `done` holds; the loop goes on meanwhile.
  template <class Done>
  io::Task<absl::Status> Until(Done done) {
    const io::Deadline until = loop.After(absl::Seconds(10));
    while (!done()) {
      if (loop.Now() > until) co_return DataLoss("it did not come to that within 10 seconds");
      CO_RETURN_IF_ERROR(co_await io::Sleep(loop.After(absl::Milliseconds(2))));
    }
    co_return absl::OkStatus();
  }

  io::Loop& loop;
  FaultyDisk disk;
  config::Settings settings;
  SlowDisk slow_disk;
  Queue queue;
  IntakeTotals totals;

 private:
  Talker& Attach(service::PeerGroup& group, uint32_t index, uint8_t origin, const ipc::Edge& edge,
                 ipc::Side side) {
    auto [ours, theirs] = Pair();
    group.Attach(index, origin, std::move(theirs));
    talkers_.emplace_back(std::make_unique<Talker>(loop, far_, std::move(ours), edge, side));
    return *talkers_.back();
  }
  io::Task<absl::Status> RunStore() { return queue.store().Run(); }

  io::TaskScope work_;
  io::TaskScope edges_;
  io::TaskScope background_;
  io::TaskScope writer_;
  io::TaskScope far_;

 public:
  Dispatch dispatch;
  Notices notices;
  Admin admin;

 private:
  service::PeerGroup smtpd_;
  service::PeerGroup smtpc_;
  service::PeerGroup locald_;
  service::PeerGroup bounced_;
  std::list<std::unique_ptr<Talker>> talkers_;
};

// What smtpd says to hand in a message; returns the conversation.
inline absl::StatusOr<uint32_t> SubmitTo(Talker& smtpd, uint64_t id,
                                         const std::vector<std::string>& recipients,
                                         std::string_view content) {
  namespace submission = protocol::submission;
  submission::Submit submit;
  submit.queue_id = id;
  submit.sender = "sender@example.org";
  submit.submitter = "192.0.2.1";
  submit.prepend = "Received: by us\r\n";
  const uint32_t stream = smtpd.NewId();
  RETURN_IF_ERROR(smtpd.Send(stream, submit));
  submission::Recipients piece;
  const auto flush = [&]() -> absl::Status {
    if (piece.recipients.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(smtpd.Send(stream, piece));
    piece.recipients.clear();
    return absl::OkStatus();
  };
  for (const std::string& one : recipients) {
    const RecipientRecord record = RecipientTo(one);
    piece.recipients.push_back(
        {.address = record.address, .orcpt = {}, .notify = 0, .kind = record.kind});
    if (piece.recipients.size() == protocol::kMaxRecipientsPerPiece) RETURN_IF_ERROR(flush());
  }
  RETURN_IF_ERROR(flush());
  while (!content.empty()) {
    const submission::Content some{.bytes = content.substr(0, protocol::kMaxContentPiece)};
    RETURN_IF_ERROR(smtpd.Send(stream, some));
    content.remove_prefix(some.bytes.size());
  }
  return stream;
}

// The whole of it, to its end.
inline io::Task<absl::StatusOr<protocol::submission::Done>> Deposit(
    Talker& smtpd, uint64_t id, const std::vector<std::string>& recipients,
    std::string_view content = "hello\r\n") {
  CO_ASSIGN_OR_RETURN(const uint32_t stream, SubmitTo(smtpd, id, recipients, content));
  CO_RETURN_IF_ERROR(smtpd.Send(stream, protocol::submission::End{}));
  CO_ASSIGN_OR_RETURN(auto done, co_await smtpd.Receive<protocol::submission::Done>());
  if (done.id != stream) co_return DataLoss("an answer to another stream");
  co_return std::move(done.message);
}

using StationTest = io::Task<absl::Status> (*)(Station&);

inline io::Task<absl::Status> RunStationTest(Station& station, StationTest test) {
  CO_RETURN_IF_ERROR(co_await station.Start());
  const absl::Status tested = co_await test(station);
  CO_RETURN_IF_ERROR(co_await station.Stop());
  co_return tested;
}

inline void RunStation(StationTest test) {
  const auto loop = test::MakeLoop(io::BackendKind::kEpoll);
  ASSERT_NE(loop, nullptr);
  Station station(*loop);
  const absl::Status ended = loop->Run(RunStationTest(station, test));
  EXPECT_TRUE(ended.ok()) << ended;
}

}  // namespace postern::qmgr
