// tests/daemons/qmgr/rig.h — a queue on a disk in memory and a clock that jumps to what comes next;
// the test hands out the jobs, and is bounced.
//
//   RunRig([](Rig& rig) -> io::Task<absl::Status> {
//     CO_RETURN_IF_ERROR(co_await rig.Start());
//     CO_RETURN_IF_ERROR(co_await rig.AcceptTo(1, {"a@example.net"}));
//     rig.Finish(*rig.Next(), Outcome::kDeferred);
//     ...
//     co_return co_await rig.Stop();
//   });
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/queue_id.h"
#include "daemons/qmgr/queue.h"
#include "tests/daemons/qmgr/faulty_disk.h"
#include "tests/testing/fake_loop.h"

namespace postern::qmgr {

using protocol::delivery::Outcome;

inline config::Settings TestSettings() {
  config::Settings settings;
  settings.hostname = "mail.example.org";
  settings.domains = {"example.org"};
  settings.queue.inline_octets = 64u << 10;
  settings.queue.segment_octets = 1u << 20;
  settings.queue.reserve_octets = 1u << 20;
  settings.queue.retry_first = absl::Minutes(1);
  settings.queue.retry_longest = absl::Minutes(10);
  settings.queue.lifetime = absl::Hours(24);
  settings.queue.bounce_lifetime = absl::Hours(12);
  settings.queue.delay_notice = absl::Hours(1);
  settings.queue.max_active = 1000;
  settings.outbound.max_connections_per_destination = 20;
  return settings;
}

inline RecipientRecord RecipientTo(std::string address, uint8_t notify = 0) {
  RecipientRecord recipient;
  recipient.address = std::move(address);
  recipient.notify = notify;
  if (recipient.address.ends_with("@example.org"))
    recipient.kind = protocol::RecipientClass::kLocal;
  return recipient;
}

inline MessageRecord RecordTo(const std::vector<std::string>& recipients,
                              std::string sender = "sender@example.org") {
  MessageRecord record;
  record.sender = std::move(sender);
  record.submitter = "192.0.2.1";
  record.content_octets = 6;
  for (const std::string& one : recipients) record.recipients.push_back(RecipientTo(one));
  return record;
}

class Rig {
 public:
  // `before`: the disk that another life left.
  explicit Rig(test::FakeLoop& clock, std::unique_ptr<FaultyDisk> before = nullptr,
               config::Settings with = TestSettings())
      : clock(clock),
        disk(before ? std::move(before) : std::make_unique<FaultyDisk>()),
        settings(std::move(with)),
        queue(clock.loop(), *disk, settings) {
    queue.SetNotify([this](uint64_t id, const LoadedMessage& loaded, NoticeWish& wish) {
      return Notify(id, loaded, wish);
    });
  }

  io::Task<absl::Status> Start() {
    writer_.Spawn(RunStore());
    co_return co_await queue.Recover();
  }
  io::Task<absl::Status> Stop() {
    queue.RequestStop();
    co_await queue.Join();
    writer_.RequestStop();
    co_await writer_.Join();
    co_return absl::OkStatus();
  }

  io::Task<absl::Status> Accept(uint64_t id, MessageRecord record) {
    if (record.arrival_us == 0) record.arrival_us = queue.WallUs();
    co_return co_await queue.Accept(id, std::move(record), "hello\n");
  }
  io::Task<absl::Status> AcceptTo(uint64_t id, std::vector<std::string> recipients) {
    co_return co_await Accept(id, RecordTo(recipients));
  }

  std::optional<Job> Next(Route route = Route::kRemote) {
    queue.TakeAged();
    return queue.scheduler().Next(route, queue.NowUs());
  }
  static protocol::delivery::Result ResultFor(uint32_t index, Outcome outcome) {
    protocol::delivery::Result result;
    result.index = index;
    result.outcome = outcome;
    result.status = outcome == Outcome::kFailed     ? "5.1.1"
                    : outcome == Outcome::kDeferred ? "4.2.0"
                                                    : "2.0.0";
    result.diagnostic = outcome == Outcome::kFailed     ? "550 no such user"
                        : outcome == Outcome::kDeferred ? "450 come again"
                                                        : "250 ok";
    result.remote = "mx.example.net";
    return result;
  }
  // All recipients of the job alike.
  void Finish(const Job& job, Outcome outcome) {
    std::vector<protocol::delivery::Result> results;
    for (const uint32_t index : job.recipients) results.push_back(ResultFor(index, outcome));
    queue.Finish(job, std::move(results), Verdict::kHealthy, "");
  }

  // Time goes by; what is begun meanwhile runs.
  io::Task<void> Wait(absl::Duration duration) {
    IgnoreStatus(co_await io::Sleep(queue.loop().After(duration)), "a test's own pause");
    queue.TakeAged();
    IgnoreStatus(co_await io::Sleep(queue.loop().After(absl::Milliseconds(1))), "as above");
  }

  struct Notice {
    uint64_t id;
    protocol::notice::Kind kind;
    std::vector<protocol::notice::NoticeRecipient> recipients;
  };
  std::vector<std::string> Told(protocol::notice::Kind kind) const {
    std::vector<std::string> addresses;
    for (const Notice& notice : notices) {
      if (notice.kind != kind) continue;
      for (const auto& recipient : notice.recipients) addresses.push_back(recipient.address);
    }
    return addresses;
  }

  test::FakeLoop& clock;
  std::unique_ptr<FaultyDisk> disk;
  config::Settings settings;
  Queue queue;
  std::vector<Notice> notices;
  bool bounced_away = false;
  size_t refused_notices = 0;
  size_t notices_under_way = 0;
  size_t most_under_way = 0;

 private:
  io::Task<absl::Status> RunStore() { return queue.store().Run(); }
  io::Task<bool> Notify(uint64_t id, const LoadedMessage&, NoticeWish& wish) {
    most_under_way = std::max(most_under_way, ++notices_under_way);
    IgnoreStatus(co_await io::Sleep(queue.loop().After(absl::Milliseconds(10))), "as if it wrote");
    --notices_under_way;
    if (bounced_away) {
      ++refused_notices;
      co_return false;
    }
    notices.push_back({id, wish.kind, std::exchange(wish.recipients, {})});
    co_return true;
  }
  io::TaskScope writer_;
};

using RigTest = io::Task<absl::Status> (*)(Rig&);

inline void RunRig(Rig& rig, RigTest test) {
  const absl::Status ended = rig.clock.Run(test(rig));
  EXPECT_TRUE(ended.ok()) << ended;
}
inline void RunRig(RigTest test) {
  test::FakeLoop clock;
  Rig rig(clock);
  RunRig(rig, test);
}

}  // namespace postern::qmgr
