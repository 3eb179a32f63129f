// Large messages, whose content is a file beside the log: every operation fails in turn, and the
// power goes before every one. A message that is there has its content, whole, whatever happens;
// and what was committed is there.
#include <random>
#include <set>

#include "daemons/qmgr/contents.h"
#include "tests/daemons/qmgr/station.h"

namespace postern::qmgr {
namespace {

namespace submission = protocol::submission;
using Fault = FaultyDisk::Fault;

std::string LargeContent(uint16_t n) {
  std::string content;
  while (content.size() < 100'000) content += "line " + std::to_string(n + content.size()) + "\r\n";
  return content;
}

struct Promise {
  std::set<uint16_t> committed;  // and not deleted
  std::set<uint16_t> deleted;
};

// What a start after the cut makes of it, and that the contents are those that were committed.
io::Task<absl::Status> Start(FaultyDisk& disk, std::map<uint64_t, uint64_t>& found) {
  Store store(disk, {.segment_octets = 1u << 20, .reserve_octets = 1u << 20});
  const auto report = co_await store.Open([&found](RecoveredMessage&& message) {
    EXPECT_TRUE(message.record.in_file);
    found[message.queue_id] = message.record.content_octets;
  });
  CO_RETURN_IF_ERROR(report.status());
  EXPECT_EQ(report->unreadable, 0u);
  CO_ASSIGN_OR_RETURN(const ContentsReport contents,
                      co_await CheckContents(disk, found, Orphans::kRemove));
  for (const auto& [id, fault] : contents.broken) ADD_FAILURE() << QueueId(id).ToString() << fault;
  co_return absl::OkStatus();
}

void Expect(FaultyDisk& disk, const Promise& promise, const std::string& label) {
  const ::testing::ScopedTrace trace(__FILE__, __LINE__, label);
  std::map<uint64_t, uint64_t> found;
  const absl::Status started = test::RunInFakeLoop(Start(disk, found));
  EXPECT_TRUE(started.ok()) << started;
  for (const uint16_t n : promise.committed) EXPECT_TRUE(found.contains(IdOf(n))) << n;
  for (const auto& [id, octets] : found) {
    const uint16_t n = QueueId(id).counter();
    EXPECT_TRUE(disk.files_.at(ContentName(id))->written == LargeContent(n)) << n;
    EXPECT_FALSE(promise.deleted.contains(n)) << n;
  }
  // Orphans are gone, and nothing else is.
  size_t contents = 0;
  for (const auto& [name, file] : disk.files_) contents += name.starts_with("content/") ? 1 : 0;
  EXPECT_EQ(contents, found.size());
}

io::Task<absl::Status> Put(Talker& smtpd, uint16_t n, Promise& promise) {
  const std::string content = LargeContent(n);
  CO_ASSIGN_OR_RETURN(const auto done,
                      co_await Deposit(smtpd, IdOf(n), {"a@example.net"}, content));
  if (done.outcome == submission::Outcome::kCommitted) promise.committed.insert(n);
  co_return absl::OkStatus();
}

template <class Life>
io::Task<absl::Status> LiveOn(Station& station, Life& life) {
  CO_RETURN_IF_ERROR(co_await station.Start());
  const absl::Status lived = co_await life(station);
  CO_RETURN_IF_ERROR(co_await station.Stop());
  co_return lived;
}

// A life of a queue; `life` outlives it.
template <class Life>
void Live(Life& life) {
  const auto loop = test::MakeLoop(io::BackendKind::kEpoll);
  ASSERT_NE(loop, nullptr);
  Station station(*loop);
  const absl::Status ended = loop->Run(LiveOn(station, life));
  EXPECT_TRUE(ended.ok()) << ended;
}

struct Moment {
  std::unique_ptr<FaultyDisk> disk;
  Promise promise;
};

void ExpectAfterPowerCuts(const std::vector<Moment>& moments, const std::string& label) {
  std::minstd_rand random(11);
  for (size_t i = 0; i < moments.size(); ++i) {
    const auto& [disk, promise] = moments[i];
    const std::string where = label + ", before operation " + std::to_string(i + 1);
    for (int cut = 0; cut < 3; ++cut) {
      Expect(*disk->AfterPowerCut([&] { return random() % 2 == 0; }), promise, where);
    }
    Expect(*disk->AfterPowerCut([] { return false; }), promise, where + ", nothing");
    Expect(*disk->AfterPowerCut([] { return true; }), promise, where + ", everything");
    Expect(*disk, promise, where + ", killed");
  }
}

TEST(ContentFaults, ThePowerMayGoBeforeAnyOperationOfALargeMessagesLife) {
  Promise promise;
  std::vector<Moment> moments;
  const auto life = [&](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    station.disk.OnOperation([&] { moments.push_back({station.disk.Copy(), promise}); });
    CO_RETURN_IF_ERROR(co_await Put(smtpd, 1, promise));
    CO_RETURN_IF_ERROR(co_await Put(smtpd, 2, promise));
    promise.committed.erase(1);
    EXPECT_TRUE(station.queue.Delete(IdOf(1), "no longer wanted", {}));
    CO_RETURN_IF_ERROR(co_await station.Until(
        [&] { return !station.disk.files_.contains(ContentName(IdOf(1))); }));
    promise.deleted.insert(1);
    CO_RETURN_IF_ERROR(co_await Put(smtpd, 3, promise));
    station.disk.OnOperation({});
    co_return absl::OkStatus();
  };
  Live(life);
  EXPECT_EQ(promise.committed, (std::set<uint16_t>{2, 3}));
  ASSERT_GT(moments.size(), 15u);
  ExpectAfterPowerCuts(moments, "undisturbed");
}

TEST(ContentFaults, AFaultAtAnyOperationCommitsNothingThatIsNotThere) {
  int operations = 0;
  for (const Fault fault : {Fault::kError, Fault::kShort}) {
    for (int at = 1; at == 1 || at <= operations; ++at) {
      const std::string label =
          (fault == Fault::kError ? "error at " : "short at ") + std::to_string(at);
      Promise promise;
      std::vector<Moment> moments;
      const auto life = [&](Station& station) -> io::Task<absl::Status> {
        Talker& smtpd = station.Smtpd();
        const int begin = station.disk.operations();
        station.disk.FailAt(at, fault,
                            fault == Fault::kError ? absl::InternalError("EIO")
                                                   : absl::ResourceExhaustedError("ENOSPC"));
        station.disk.OnOperation([&] {
          if (station.disk.operations() - begin >= at && moments.size() < 5)
            moments.push_back({station.disk.Copy(), promise});
        });
        CO_RETURN_IF_ERROR(co_await Put(smtpd, 1, promise));
        CO_RETURN_IF_ERROR(co_await Put(smtpd, 2, promise));
        operations = std::max(operations, station.disk.operations() - begin);
        station.disk.FailAt(1 << 20, Fault::kNone, absl::OkStatus());
        CO_RETURN_IF_ERROR(co_await Put(smtpd, 3, promise));
        EXPECT_TRUE(promise.committed.contains(3)) << label;
        EXPECT_GE(promise.committed.size(), 2u) << label << ": one fault costs one message";
        station.disk.OnOperation({});
        co_return absl::OkStatus();
      };
      Live(life);
      ExpectAfterPowerCuts(moments, label);
    }
  }
  EXPECT_GT(operations, 8);
}

}  // namespace
}  // namespace postern::qmgr
